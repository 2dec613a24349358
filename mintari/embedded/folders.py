"""Folders: where the data live, who owns them, and socket paths that are short enough."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from mintari.embedded.errors import FolderUnusable
from mintari.embedded.identity import can_reach

if TYPE_CHECKING:
    from mintari.embedded.identity import RunAs

# sockaddr_un.sun_path holds 108 bytes on Linux and 104 on macOS, both with the closing zero.
SOCKET_PATH_MAX_BYTES = 103

SYSTEM_HOME = Path("/var/lib/mintari")


def default_home(run_as: RunAs | None) -> Path:
    """`$XDG_DATA_HOME/mintari`, else `~/.local/share/mintari`.

    As root it must be reachable for the servers' user, which /root usually is not; then
    /var/lib/mintari.
    """
    base = os.environ.get("XDG_DATA_HOME", "")
    # The XDG specification says that relative paths are to be ignored.
    shared = Path(base) if Path(base).is_absolute() else Path("~/.local/share").expanduser()
    home = shared / "mintari"
    return home if can_reach(home / "postgres", run_as) else SYSTEM_HOME


def make_folder(folder: Path, *, owner: RunAs | None = None, mode: int = 0o700) -> Path:
    """Create a folder with its parents; mode and owner are set on the folder itself only.

    Raises FolderUnusable with the reason and what to do.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        status = folder.stat()
        if status.st_mode & 0o777 != mode:
            folder.chmod(mode)
        if owner is not None and status.st_uid != owner.uid:
            os.chown(folder, owner.uid, owner.gid)
    except OSError as error:
        raise FolderUnusable(_advice(folder, error)) from error
    return folder


def _advice(folder: Path, error: OSError) -> str:
    reason = error.strerror or type(error).__name__
    return (
        f"The folder {folder} cannot be used ({reason}):"
        " make it writable, or set MINTARI_HOME to a folder that is."
    )


def check_writable(folder: Path) -> None:
    """Write and remove a probe of 64 KiB. Raises FolderUnusable (read-only, disk full, ...)."""
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"\0" * 65536)
    except OSError as error:
        raise FolderUnusable(_advice(folder, error)) from error


def socket_folder(preferred: Path, name: str, *, owner: RunAs | None) -> Path:
    """A private folder in which a socket called `name` has a path that is short enough.

    That is `preferred`, or when its path is too long a folder below the user's runtime folder or
    the system's temporary folder, always the same one for the same `preferred`.
    """
    for folder in (preferred, *_short_folders(preferred, owner)):
        if len(os.fsencode(folder / name)) <= SOCKET_PATH_MAX_BYTES and can_reach(folder, owner):
            return _own_folder(folder, owner)
    raise FolderUnusable(
        f"The path {preferred / name} is too long for a socket (over {SOCKET_PATH_MAX_BYTES} bytes)"
        " and no shorter folder can be used: set MINTARI_HOME or TMPDIR to a shorter path."
    )


def _short_folders(preferred: Path, owner: RunAs | None) -> list[Path]:
    uid = os.geteuid() if owner is None else owner.uid
    digest = hashlib.sha256(os.fsencode(preferred.absolute())).hexdigest()[:12]
    name = f"mintari-{uid}-{digest}"
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    bases = [Path(runtime)] if Path(runtime).is_absolute() and owner is None else []
    return [base / name for base in (*bases, Path(tempfile.gettempdir()), Path("/tmp"))]  # noqa: S108 - ownership is checked in _own_folder


def _own_folder(folder: Path, owner: RunAs | None) -> Path:
    # In a shared temporary folder somebody else may have made this one first, or a link.
    expected = {os.geteuid()} if owner is None else {os.geteuid(), owner.uid}
    if folder.is_symlink() or (folder.exists() and folder.stat().st_uid not in expected):
        raise FolderUnusable(f"The folder {folder} belongs to somebody else: remove it.")
    return make_folder(folder, owner=owner)
