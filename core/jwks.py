"""Public keys from an identity provider (JWK Set, RFC 7517): cached, rotated, never trusted more.

A key is taken for one algorithm, by its type: EC P-256 for ES256, RSA for RS256, Ed25519 for EdDSA.
Symmetric keys and keys for encryption are none of ours. What a token's header says besides the
key's id (`jku`, `x5u`, `jwk`) is not looked at.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, cast

import httpx
import jwt
import msgspec

from core.auth import Key
from core.errors import Overloaded, Unauthenticated
from core.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_AGE_S = 600.0
"""A set is asked for again after this; keys that are gone are not taken any more."""
MIN_PAUSE_S = 5.0
"""Between two requests, whatever tokens arrive: unknown ids cost one request in this time."""
MAX_BYTES = 256 * 1024
MIN_RSA_BITS = 2048

_ALGORITHMS = {("EC", "P-256"): "ES256", ("RSA", None): "RS256", ("OKP", "Ed25519"): "EdDSA"}
_log = get_logger(__name__)


class JwksKeys:
    """The keys at a URL. Fetched with the first token; safe to share between tasks."""

    def __init__(self, url: str, *, timeout_s: float, min_pause_s: float = MIN_PAUSE_S) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._min_pause_s = min_pause_s
        self._keys: dict[str, Key] = {}
        self._fetched_at_s = float("-inf")
        self._tried_at_s = float("-inf")
        self._lock = asyncio.Lock()

    @property
    def edition(self) -> object | None:
        """The set of keys, while it is young enough."""
        is_old = time.monotonic() - self._fetched_at_s > MAX_AGE_S
        return None if is_old else self._keys

    async def find(self, header: Mapping[str, object]) -> Key:
        """The key with the header's `kid`; the only one if it has none.

        Raises Unauthenticated if there is no such key, Overloaded if keys could never be fetched.
        """
        kid = header.get("kid")
        if time.monotonic() - self._fetched_at_s > MAX_AGE_S or not self._known(kid):
            await self._refresh()
        if key := self._known(kid):
            return key
        if not self._keys:
            raise Overloaded("Tokens cannot be checked right now.", retry_after_s=5)
        raise Unauthenticated("The token is not valid.")

    def _known(self, kid: object) -> Key | None:
        if isinstance(kid, str):
            return self._keys.get(kid)
        return next(iter(self._keys.values())) if len(self._keys) == 1 else None

    async def _refresh(self) -> None:
        """Fetch the set once, however many tokens wait for it; keep the old one if that fails."""
        asked_at_s = time.monotonic()
        async with self._lock:
            tried_meanwhile = self._tried_at_s >= asked_at_s
            if tried_meanwhile or asked_at_s - self._tried_at_s < self._min_pause_s:
                return
            self._tried_at_s = time.monotonic()
            try:
                self._keys = await self.fetch()
                self._fetched_at_s = time.monotonic()
            except (OSError, ValueError) as error:
                _log.warning("keys of tokens not fetched", error=str(error))

    async def fetch(self) -> dict[str, Key]:
        """The usable keys as they are now, by id. Raises OSError, ValueError."""
        try:
            return read_keys(await self._fetch())
        except httpx.HTTPError as error:
            raise OSError(f"{type(error).__name__}: {error}") from error

    async def _fetch(self) -> bytes:
        async with (
            asyncio.timeout(self._timeout_s),
            httpx.AsyncClient(timeout=self._timeout_s) as client,
            client.stream("GET", self._url, headers={"accept": "application/json"}) as response,
        ):
            if response.status_code != 200:
                raise ValueError(f"status {response.status_code}")
            content = b""
            async for chunk in response.aiter_bytes():
                content += chunk
                if len(content) > MAX_BYTES:
                    raise ValueError(f"more than {MAX_BYTES} bytes")
            return content


def read_keys(content: bytes) -> dict[str, Key]:
    """The usable keys of a JWK Set by id. Raises ValueError if it is none, or has none."""
    try:
        data = msgspec.json.decode(content)
    except msgspec.DecodeError as error:
        raise ValueError("no JSON") from error
    members = cast("dict[str, Any]", data).get("keys") if isinstance(data, dict) else None
    if not isinstance(members, list):
        raise ValueError("no JWK Set")
    keys: dict[str, Key] = {}
    for member in cast("list[object]", members):
        if isinstance(member, dict):
            described = cast("dict[str, Any]", member)
            if key := _read_key(described):
                keys[str(described.get("kid", ""))] = key
    if not keys:
        raise ValueError("no usable key")
    return keys


def _read_key(described: dict[str, Any]) -> Key | None:
    curve = None if described.get("kty") == "RSA" else described.get("crv")
    algorithm = _ALGORITHMS.get((str(described.get("kty")), curve))
    if algorithm is None or described.get("use", "sig") != "sig":
        return None
    named = described.get("alg", algorithm)
    if named != algorithm and (named, algorithm) != ("Ed25519", "EdDSA"):  # RFC 9864's new name
        return None
    try:
        value: Any = jwt.PyJWK.from_dict(described, algorithm=algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    if algorithm == "RS256" and value.key_size < MIN_RSA_BITS:
        return None
    return Key(algorithm, value)
