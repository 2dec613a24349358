"""Files of documents that are known in advance, by id.

A JSON object of texts by id, as Relay's compiler, GraphQL Code Generator and our own page's build
write it, or Apollo's persisted query manifest.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

HASH_PREFIX = "sha256:"


class DocumentsFileError(ValueError):
    """A file of documents is missing or wrong; the message names it."""


class _Operation(msgspec.Struct):
    id: str
    body: str


class _ApolloManifest(msgspec.Struct, tag_field="format", tag="apollo-persisted-query-manifest"):
    operations: list[_Operation]


def document_hash(text: str) -> str:
    """SHA-256 of a document's text, 64 hexadecimal digits in lower case."""
    return hashlib.sha256(text.encode()).hexdigest()


def load_documents(paths: Iterable[Path]) -> dict[str, str]:
    """The texts of all files by id, and by hash. Raises DocumentsFileError."""
    found: dict[str, str] = {}
    for path in paths:
        for document_id, text in _read(path).items():
            found[document_id.removeprefix(HASH_PREFIX)] = text
            found[document_hash(text)] = text
    return found


def _read(path: Path) -> dict[str, str]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DocumentsFileError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        manifest = msgspec.json.decode(content, type=_ApolloManifest)
        return {one.id: one.body for one in manifest.operations}
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    try:
        return msgspec.json.decode(content, type=dict[str, str])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DocumentsFileError(
            f"{path}: not a JSON object of documents by id: {error}"
        ) from error
