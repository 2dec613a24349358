"""Which system user runs the servers: PostgreSQL refuses to run as root."""

from __future__ import annotations

import os
import pwd
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mintari.embedded.errors import EmbeddedError

if TYPE_CHECKING:
    from pathlib import Path

# In this order; none is ever created, as a user's account list is not ours to change.
_CANDIDATES = ("postgres", "nobody")


@dataclass(frozen=True, slots=True)
class RunAs:
    """An existing unprivileged user; its supplementary groups are never used."""

    name: str
    uid: int
    gid: int


def unprivileged_user() -> RunAs | None:
    """Who runs the servers when we are root; None (ourselves) when we are not.

    Raises EmbeddedError when root has no unprivileged user to hand over to.
    """
    if os.geteuid() != 0:
        return None
    for name in _CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return RunAs(name, entry.pw_uid, entry.pw_gid)
    raise EmbeddedError(
        "PostgreSQL cannot run as root and there is no user 'postgres' or 'nobody' to run it as:"
        " run Mintari as a normal user, or set DATABASE_URL and REDIS_URL."
    )


def can_reach(path: Path, run_as: RunAs | None) -> bool:
    """Whether the user may pass through every existing folder above `path`.

    Reads mode bits only: an access list that grants more is not seen, which errs on the safe side.
    """
    if run_as is None:
        return True
    return all(
        _may_pass(folder.stat(), run_as) for folder in path.absolute().parents if folder.exists()
    )


def _may_pass(status: os.stat_result, run_as: RunAs) -> bool:
    if status.st_uid == run_as.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == run_as.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)
