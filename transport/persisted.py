"""Persisted documents: a request may name its document by id instead of sending it.

Three spellings, one meaning: `documentId` (GraphQL over HTTP, appendix on persisted documents),
`extensions.persistedQuery.sha256Hash` (Apollo's automatic persisted queries), and the text itself.
Ids are SHA-256 hashes of the text, or any ids of the registered documents.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

from graphql import GraphQLError

from transport.manifest import HASH_PREFIX, document_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from redis.asyncio import Redis

    from transport.document_store import DocumentStore

_HASH = re.compile(r"[0-9a-f]{64}")


class PersistedDocuments:
    """Finds the documents that requests name.

    Args:
        registered: texts by id and by hash, known in advance.
        store: where texts go that clients register as they come.
        is_valid: whether a text is a document of ours; no other is stored.
    """

    def __init__(
        self,
        registered: Mapping[str, str],
        store: DocumentStore,
        is_valid: Callable[[str], bool],
    ) -> None:
        self._registered = registered
        self._store = store
        self._is_valid = is_valid

    async def resolve(
        self,
        redis: Redis,
        *,
        query: str | None,
        document_id: str | None,
        extensions: Mapping[str, Any] | None,
    ) -> str:
        """The text of the document that a request means; all transports call this.

        A text that comes with its hash is stored under it for a while. Raises GraphQLError when the
        id is not known (code PERSISTED_QUERY_NOT_FOUND: send the text, too), does not fit the text,
        or when there is neither.
        """
        wanted = _wanted_id(document_id, extensions)
        if wanted is None:
            if not query:
                raise _refusal("Send `query`, or the id of a persisted document.")
            return query
        if not query:
            return await self._find(redis, wanted)
        if document_hash(query) != wanted:
            raise _refusal("provided sha does not match query")
        if wanted not in self._registered and self._is_valid(query):
            await self._store.keep(redis, wanted, query)
        return query

    def at_hand(
        self, query: str | None, document_id: str | None, extensions: Mapping[str, Any] | None
    ) -> str | None:
        """The text that `resolve` would find, if nothing has to be waited for or stored."""
        if document_id is None and not extensions:
            return query
        try:
            wanted = _wanted_id(document_id, extensions)
        except GraphQLError:
            return None
        if wanted is None:
            return query
        return None if query else self._registered.get(wanted) or self._store.at_hand(wanted)

    async def _find(self, redis: Redis, wanted: str) -> str:
        text = self._registered.get(wanted)
        if text is None and _HASH.fullmatch(wanted):
            text = await self._store.find(redis, wanted)
        if text is None:
            # Both are Apollo's words: its client, and urql's, look for one or the other.
            raise _refusal("PersistedQueryNotFound", "PERSISTED_QUERY_NOT_FOUND")
        return text


def _wanted_id(document_id: str | None, extensions: Mapping[str, Any] | None) -> str | None:
    """The id that a request names, without the prefix of hashes. Raises GraphQLError."""
    if document_id is not None:
        return document_id.removeprefix(HASH_PREFIX)
    asked = (extensions or {}).get("persistedQuery")
    if asked is None:
        return None
    given = cast("dict[str, object]", asked if isinstance(asked, dict) else {})
    sha256 = given.get("sha256Hash")
    if given.get("version") != 1:
        raise _refusal("Unsupported persisted query version")
    if not isinstance(sha256, str) or not _HASH.fullmatch(sha256):
        raise _refusal("`sha256Hash` must be 64 hexadecimal digits in lower case.")
    return sha256


def _refusal(message: str, code: str = "BAD_REQUEST") -> GraphQLError:
    return GraphQLError(message, extensions={"code": code})
