"""Folders: where the data live, who owns them, and socket paths that are short enough."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from mintari.embedded.errors import FolderUnusable
from mintari.embedded.identity import can_reach

if TYPE_CHECKING:
    from mintari.embedded.identity import RunAs

# sockaddr_un.sun_path holds 108 bytes on Linux and 104 on macOS, both with the closing zero.
SOCKET_PATH_MAX_BYTES = 103

SYSTEM_HOME = Path("/var/lib/mintari")


def default_home(shared: Path, run_as: RunAs | None) -> Path:
    """`shared`/mintari, where `shared` is the user's folder for applications' data.

    As root it must be reachable for the servers' user, which /root usually is not; then
    /var/lib/mintari.
    """
    home = shared / "mintari"
    return home if can_reach(home / "postgres", run_as) else SYSTEM_HOME


def make_folder(folder: Path, *, owner: RunAs | None = None, mode: int = 0o700) -> Path:
    """Create a folder with its parents; a new one gets mode and owner, an old one is only checked.

    Raises FolderUnusable with the reason and what to do.
    """
    uid = os.geteuid() if owner is None else owner.uid
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=mode)
            folder.chmod(mode)  # whatever the umask took away
        status = folder.lstat()
        # A start that was killed after mkdir left it empty, and root's.
        if owner is not None and _is_ours_and_empty(folder, status):
            os.chown(folder, owner.uid, owner.gid)
            status = folder.lstat()
    except OSError as error:
        raise FolderUnusable(_advice(folder, error)) from error
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != uid:
        raise FolderUnusable(
            f"{folder} is not a folder of {'this user' if owner is None else owner.name}:"
            " move it away or change its owner, or set MINTARI_HOME to another folder."
        )
    return folder


def _is_ours_and_empty(folder: Path, status: os.stat_result) -> bool:
    ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
    return ours and not any(folder.iterdir())


def make_server_folder(folder: Path, run_as: RunAs | None) -> Path:
    """Create the folder of one server's files; its user may pass through but not list it.

    Raises FolderUnusable, also when that user cannot get there.
    """
    make_folder(folder, mode=0o700 if run_as is None else 0o711)
    if run_as is not None and not can_reach(folder / "data", run_as):
        raise FolderUnusable(
            f"The folder {folder} cannot be reached by the user {run_as.name}, who runs the"
            f" servers in place of root: set MINTARI_HOME to a folder like {SYSTEM_HOME},"
            " or run Mintari as a normal user."
        )
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
    """A private folder in which a socket called `name` has a short path of plain characters.

    That is `preferred`, or when its path does not do, a folder below the system's temporary one,
    always the same for the same `preferred`.
    """
    for folder in (preferred, *_short_folders(preferred, owner)):
        if _fits(folder / name) and can_reach(folder, owner):
            return make_folder(folder, owner=owner)
    raise FolderUnusable(
        f"The path {preferred / name} cannot name a socket (over {SOCKET_PATH_MAX_BYTES} bytes,"
        " or with other characters than letters, digits and -._~)"
        " and no shorter folder can be used: set MINTARI_HOME or TMPDIR to a shorter path."
    )


def _fits(path: Path) -> bool:
    # A comma separates folders in PostgreSQL's setting, and arq does not undo a URL's escapes.
    return len(os.fsencode(path)) <= SOCKET_PATH_MAX_BYTES and quote(str(path)) == str(path)


def _short_folders(preferred: Path, owner: RunAs | None) -> list[Path]:
    uid = os.geteuid() if owner is None else owner.uid
    digest = hashlib.sha256(os.fsencode(preferred.absolute())).hexdigest()[:12]
    # Shared folders: make_folder refuses one that somebody else has made, and links.
    shared = (Path(tempfile.gettempdir()), Path("/tmp"))  # noqa: S108
    return [base / f"mintari-{uid}-{digest}" for base in shared]
