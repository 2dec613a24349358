"""Pictures in a folder of this machine, read through signed URLs that the API serves."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import secrets
from typing import TYPE_CHECKING, ClassVar

from storage.base import ObjectNotFound, StorageMisconfigured, StorageUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from storage.signing import UrlSigner

_KEY = re.compile(r"[a-z0-9]+(?:[/.-][a-z0-9]+)*")
_WRONG = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR}


class LocalStorage:
    """Objects as files. A file is complete or not there: it is written aside and renamed."""

    name: ClassVar[str] = "local"

    def __init__(self, folder: Path, signer: UrlSigner, base_url: str) -> None:
        self._folder = folder
        self._signer = signer
        self._base_url = base_url

    async def put(self, key: str, content: bytes, content_type: str) -> None:
        """Store `content`. The content type is in the key's ending."""
        del content_type
        await asyncio.to_thread(self._write, self.path(key), content)

    async def get(self, key: str) -> bytes:
        """Read an object back. Raises ObjectNotFound."""
        return await asyncio.to_thread(self._read, self.path(key))

    async def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; a key without an object is no error."""
        await asyncio.to_thread(self._remove, [self.path(key) for key in keys])

    async def sign(self, keys: Sequence[str]) -> Mapping[str, str]:
        """URLs of the API's file route, by key."""
        return {key: f"{self._base_url}/{key}?{self._signer.query(key)}" for key in keys}

    async def check(self) -> str:
        """Write, read back and delete a probe."""
        key, content = f"probes/{secrets.token_hex(8)}.bin", secrets.token_bytes(64)
        await self.put(key, content, "application/octet-stream")
        if await self.get(key) != content:
            raise StorageUnavailable(f"{self._folder}: a probe came back with other bytes")
        await self.delete([key])
        return f"folder {self._folder}"

    async def aclose(self) -> None:
        """Nothing is open."""

    def is_signed(self, key: str, expires: str, signature: str) -> bool:
        """Whether a URL with this query was made by `sign` and has not expired."""
        return self._signer.holds(key, expires, signature)

    def path(self, key: str) -> Path:
        """The file of a key. Raises ObjectNotFound for a key that we never make."""
        if not _KEY.fullmatch(key):
            raise ObjectNotFound("not a key of ours")
        return self._folder / key

    def _write(self, path: Path, content: bytes) -> None:
        aside = path.with_name(f".{secrets.token_hex(8)}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with aside.open("xb") as file:
                    file.write(content)
                    file.flush()
                    # What is committed as stored must survive a power cut.
                    os.fsync(file.fileno())
                aside.replace(path)
            finally:
                aside.unlink(missing_ok=True)
        except OSError as error:
            raise _storage_error(error, self._folder) from error

    def _read(self, path: Path) -> bytes:
        try:
            return path.read_bytes()
        except FileNotFoundError:
            raise ObjectNotFound("no such object") from None
        except OSError as error:
            raise _storage_error(error, self._folder) from error

    def _remove(self, paths: list[Path]) -> None:
        try:
            for path in paths:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise _storage_error(error, self._folder) from error


def _storage_error(error: OSError, folder: Path) -> StorageUnavailable | StorageMisconfigured:
    kind = StorageMisconfigured if error.errno in _WRONG else StorageUnavailable
    return kind(f"{folder}: {error.strerror or error}")
