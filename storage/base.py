"""Where pictures live: one protocol, one file per place.

StorageError
├── ObjectNotFound       nothing under that key; final
├── StorageUnavailable   full, unreachable, overloaded; worth another try
└── StorageMisconfigured credentials, bucket or path are wrong; an operator must act
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


class StorageError(Exception):
    """Something went wrong with a stored object. The message is for operators."""

    retryable: ClassVar[bool] = False


class ObjectNotFound(StorageError):
    """Nothing is stored under that key."""


class StorageUnavailable(StorageError):
    """The store is full, unreachable or overloaded; the same call may go through later."""

    retryable = True


class StorageMisconfigured(StorageError):
    """Credentials, bucket or path are wrong."""


class Storage(Protocol):
    """A place for immutable objects under keys of our own making (`core.keys`)."""

    name: ClassVar[str]

    async def put(self, key: str, content: bytes, content_type: str) -> None:
        """Store `content`; the same key again with the same content is no error."""
        ...

    async def get(self, key: str) -> bytes:
        """Read an object back. Raises ObjectNotFound."""
        ...

    async def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; a key without an object is no error."""
        ...

    async def sign(self, keys: Sequence[str]) -> Mapping[str, str]:
        """URLs at which browsers can read the objects for a while, by key; one call for a grid.

        The same key gives the same URL for a good part of its life, in all processes of a
        deployment, so that pictures stay cached.
        """
        ...

    async def check(self) -> str:
        """Write, read back and delete a probe; a line for `mintari doctor`."""
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...
