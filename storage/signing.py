"""URLs that let a browser read one object for a while, without a token (HMAC-SHA256)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time


class UrlSigner:
    """Signs keys. A URL lives for one to two times `ttl_s` seconds.

    The expiry is rounded up to a multiple of `ttl_s`, so that the same key has the same URL for a
    good while: the browser's cache works, and a message for many subscribers is the same bytes.
    """

    def __init__(self, secret: str, ttl_s: int) -> None:
        self._secret = secret.encode()
        self._ttl_s = ttl_s

    def query(self, key: str) -> str:
        """The query string that makes a key readable."""
        expires_at_s = (int(time.time()) // self._ttl_s + 2) * self._ttl_s
        return f"expires={expires_at_s}&signature={self._signature(key, expires_at_s)}"

    def holds(self, key: str, expires: str, signature: str) -> bool:
        """Whether this query was made by us for this key and has not expired."""
        if not (expires.isascii() and expires.isdigit() and len(expires) <= 12):
            return False
        if int(expires) < time.time():
            return False
        return hmac.compare_digest(signature.encode(), self._signature(key, int(expires)).encode())

    def _signature(self, key: str, expires_at_s: int) -> str:
        message = f"{key}\n{expires_at_s}".encode()
        digest = hmac.new(self._secret, message, hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def derive_secret(secret: str, purpose: str) -> str:
    """A secret for another purpose, from which the first one cannot be found."""
    return hmac.new(secret.encode(), purpose.encode(), hashlib.sha256).hexdigest()
