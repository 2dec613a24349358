"""How many sockets one user and one address may have open on this process."""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator


class TooManySocketsError(Exception):
    """The cap is reached; the text says which."""


class Caps:
    """Counts what is open by name; a name is forgotten when its last socket closes."""

    def __init__(self, per_user: int, per_address: int) -> None:
        self._most = {"user": per_user, "address": per_address}
        self._open: Counter[tuple[str, str]] = Counter()

    def take(self, kind: str, name: str) -> None:
        """Count one more, until `release`. Raises TooManySocketsError."""
        key, most = (kind, name), self._most[kind]
        if self._open[key] >= most:
            raise TooManySocketsError(f"{most} sockets per {kind} are allowed; close some")
        self._open[key] += 1

    def release(self, kind: str, name: str) -> None:
        """Count one less."""
        key = (kind, name)
        self._open[key] -= 1
        if not self._open[key]:
            del self._open[key]

    @contextlib.contextmanager
    def hold(self, kind: str, name: str) -> Generator[None]:
        """Count one more for the length of the block. Raises TooManySocketsError."""
        self.take(kind, name)
        try:
            yield
        finally:
            self.release(kind, name)
