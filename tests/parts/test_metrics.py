"""The port for those who watch: numbers of an API, and whether it can serve."""

from __future__ import annotations

import asyncio
import re
import socket
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx
import msgspec
import pytest
from sqlalchemy import text

from db.hot import read_jobs
from jobs.changes import change_of
from jobs.readiness import Readiness
from mintari.tokens import SetupError
from mintari.worker import work
from providers.base import ProviderUnavailable
from tests.client import FOLLOW
from tests.conftest import free_port, running_api
from tests.parts.observed import Scraped, parse
from tests.programs import ROOT
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from core.settings import Settings
    from tests.conftest import Api

WELL = dict.fromkeys(("database", "migrations", "redis", "storage"), True)


def monitor_of(settings: Settings) -> str:
    return f"http://127.0.0.1:{settings.metrics_port}"


async def ask(settings: Settings, path: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        return await client.get(monitor_of(settings) + path)


async def scraped(settings: Settings) -> Scraped:
    return parse((await ask(settings, "/metrics")).text)


async def read_ready(settings: Settings) -> tuple[int, dict[str, Any]]:
    answer = await ask(settings, "/readyz")
    return answer.status_code, answer.json()


@pytest.fixture
def watched(make_settings: Callable[..., Settings]) -> Settings:
    return make_settings(metrics_port=free_port())


async def test_followers_queue_and_refusals_are_counted(
    make_settings: Callable[..., Settings],
) -> None:
    settings = make_settings(metrics_port=free_port(), rate_limit_max_requests=2, max_active_jobs=1)
    async with running_api(settings) as api:
        ann = api.client("ann")
        (job,) = (await ann.started(prompt="a pond", variantCount=1))["jobs"]
        assert (await ann.ask(_START, input={"prompt": "two", "variantCount": 1})).status == 429
        assert (await ann.ask(_START, input={"prompt": "three", "variantCount": 1})).status == 429
        async with ann.socket() as one, ann.socket() as two:
            follows = [each.subscribe(FOLLOW, ids=[job["id"]]) for each in (one, two)]
            for follow in follows:
                assert (await anext(follow))["data"]["jobProgress"]["state"] == "PENDING"

            found = await scraped(settings)
            assert found.value("mintari_websockets") == 2
            assert found.value("mintari_subscriptions") == 2
            assert found.value("mintari_subscription_groups") == 1
            assert found.value("mintari_followed_jobs") == 1
            assert found.value("mintari_events_delivered_total") == 2
            assert found.value("mintari_queue_jobs", provider="local", state="PENDING") == 1
            assert found.value("mintari_queue_jobs", provider="local", state="RUNNING") == 0
            assert found.value("mintari_queue_oldest_pending_seconds", provider="local") > 0
            limits = "mintari_rate_limit_refusals_total"
            assert found.value(limits, limit="ACTIVE_JOBS") == 1
            assert found.value(limits, limit="REQUESTS") == 1
            refused = {"action": "start_generation", "decision": "RATE_LIMITED"}
            assert found.value("mintari_generations_total", **refused) == 2

            await ann.ask(_CANCEL, id=job["id"])
            for follow in follows:
                assert (await anext(follow))["data"]["jobProgress"]["state"] == "CANCELLED"
            found = await scraped(settings)
            assert found.value("mintari_events_delivered_total") == 4
            assert found.value("mintari_events_published_total") == 1
            ended = {"provider": "local", "state": "CANCELLED"}
            assert found.value("mintari_jobs_ended_total", **ended) == 1
            assert found.value("mintari_queue_jobs", provider="local", state="PENDING") == 0


_START = """
mutation($input: StartGenerationInput!) { startGeneration(input: $input) { __typename } }
"""
_CANCEL = "mutation($id: ID!) { cancelJob(id: $id) { __typename } }"


async def test_what_a_slow_client_never_sees_is_counted(watched: Settings) -> None:
    async with running_api(watched) as api:
        ann = api.client("ann")
        (job,) = (await ann.started(prompt="a pond " * 140, variantCount=1))["jobs"]
        # 40 KB a result, five times: buffers are soon full, and what is held is not too much.
        fields = " ".join(f"a{number}: prompt" for number in range(40))
        document = (
            "subscription($ids: [ID!]!) { jobProgress(jobIds: $ids) {"
            f" version generation {{ {fields} }} }} }}"
        )
        async with ann.socket() as slow:
            payload = {"query": document, "variables": {"ids": [job["id"]]}}
            for number in range(5):
                await slow.send({"id": f"{number:02}", "type": "subscribe", "payload": payload})
            for _ in range(5):
                assert (await slow.receive())["type"] == "next"
            await _publish_until_dropped(api, job["id"], slow.connection.transport)


async def _publish_until_dropped(api: Api, job_id: str, client: asyncio.Transport) -> None:
    """Tell of ever newer versions to a client that does not read, until some are replaced."""
    client.pause_reading()
    (record,) = (await read_jobs(api.service.driver, [UUID(job_id)])).values()
    dropped = api.service.metrics.results_dropped
    version = record.version

    async def some_are_dropped() -> bool:
        nonlocal version
        version += 1
        change = msgspec.structs.replace(change_of(record), version=version)
        await api.service.publisher.publish([change])
        return _value(dropped) > 0

    await wait_until(some_are_dropped, within_s=60, what="a replaced result")
    client.resume_reading()


def _value(counter: Any) -> float:
    (family,) = counter.collect()
    return family.samples[0].value


async def test_a_paused_provider_shows(watched: Settings) -> None:
    async with running_api(watched) as api:
        breakers = api.service.breakers
        for _ in range(watched.gen_breaker_failures):
            permit = await breakers.enter("local")
            await breakers.failed("local", ProviderUnavailable("gone"), permit)
        found = await scraped(watched)
        status = {
            one: found.value("mintari_provider_status", provider="local", status=one)
            for one in ("AVAILABLE", "DEGRADED", "UNAVAILABLE")
        }
        assert status == {"AVAILABLE": 0, "DEGRADED": 0, "UNAVAILABLE": 1}


async def test_a_scrape_without_postgres_says_so(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(
        database_url="postgresql://mintari@/mintari?host=/nowhere", metrics_port=free_port()
    )
    async with running_api(settings):
        found = await scraped(settings)
        assert found.value("mintari_queue_read_errors_total") == 1
        assert not [name for name, _ in found if name.startswith("mintari_queue_jobs")]
        status, body = await read_ready(settings)
        assert (status, body["status"]) == (503, "unavailable")
        assert body["parts"] == {**WELL, "database": False, "migrations": False}
        assert (await ask(settings, "/healthz")).status_code == 200


async def test_without_redis_it_is_ready(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(redis_url="redis://127.0.0.1:1/0", metrics_port=free_port())
    async with running_api(settings):
        expected = 200, {"status": "degraded", "parts": {**WELL, "redis": False}}
        assert await read_ready(settings) == expected


async def test_without_storage_it_is_not(watched: Settings, pictures_folder: Path) -> None:
    (pictures_folder / "probes").write_text("a file where a folder should be")
    async with running_api(watched):
        expected = 503, {"status": "unavailable", "parts": {**WELL, "storage": False}}
        assert await read_ready(watched) == expected


async def test_a_later_release_may_have_migrated(watched: Settings) -> None:
    async with running_api(watched) as api:

        async def ready_at(revision: str) -> tuple[int, dict[str, Any]]:
            async with api.service.database.transaction() as connection:
                update = text("UPDATE alembic_version SET version_num = :revision")
                await connection.execute(update, {"revision": revision})
            return await read_ready(watched)

        assert await ready_at("9999") == (200, {"status": "ok", "parts": WELL})
        behind = {"status": "unavailable", "parts": {**WELL, "migrations": False}}
        assert await ready_at("0001") == (503, behind)


async def test_every_metric_is_explained(watched: Settings) -> None:
    async with running_api(watched):
        text_of = (await ask(watched, "/metrics")).text
    shown = set(re.findall(r"^# TYPE (mintari_\w+) \w+$", text_of, re.MULTILINE))
    table = (ROOT / "docs" / "observing.md").read_text().partition("## Metrics")[2]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `mintari_")]
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == shown


async def test_two_processes_cannot_share_a_port(watched: Settings) -> None:
    assert watched.metrics_port is not None
    taken = socket.create_server(("127.0.0.1", watched.metrics_port))
    told = rf"METRICS_PORT={watched.metrics_port} .* needs its own"
    with taken, pytest.raises(SetupError, match=told):
        await work(watched, asyncio.Event())


async def test_who_drains_is_not_ready(api: Api) -> None:
    service, draining = api.service, asyncio.Event()
    works = service.storage_health.works
    readiness = Readiness(service.database, service.publisher, works, draining.is_set)
    assert (await readiness.look()).status == "ok"
    draining.set()
    report = await readiness.look()
    assert (report.status, report.is_ready) == ("draining", False)
