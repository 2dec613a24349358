"""Secrets of users that are kept in the database: sealed there, with keys that are not in it.

AES-256-GCM (NIST SP 800-38D) with random nonces of 96 bits. What a secret belongs to is
authenticated with it: a sealed text that is copied to another row cannot be opened.
"""

from __future__ import annotations

import base64
import hashlib
import os
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.settings import Settings

MARK = "sealed"
_NONCE_BYTES = 12


class CannotOpen(Exception):
    """A sealed text whose key is not among the keys, or that was changed."""


class Sealer:
    """Seals with the first of its keys and opens with any; without keys it opens plain texts only.

    A sealed text is `sealed.KEY.DATA`: the id of the key (not secret) tells which one it takes.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._ciphers = {key_id(key): AESGCM(_digest("encrypt", key)) for key in keys}
        self.newest = next(iter(self._ciphers), None)

    @classmethod
    def from_settings(cls, settings: Settings) -> Sealer:
        """With WEBHOOK_SECRETS_KEYS."""
        return cls(settings.webhook_keys)

    @property
    def key_ids(self) -> frozenset[str]:
        """The keys that it has, by their ids."""
        return frozenset(self._ciphers)

    def seal(self, plain: str, *, owner: str) -> str:
        """Seal a text for whom or what it belongs to. Raises LookupError without any key."""
        if self.newest is None:
            raise LookupError("there is no key to seal with")
        nonce = os.urandom(_NONCE_BYTES)
        data = self._ciphers[self.newest].encrypt(nonce, plain.encode(), owner.encode())
        return f"{MARK}.{self.newest}.{base64.urlsafe_b64encode(nonce + data).decode()}"

    def open(self, text: str, *, owner: str) -> str:
        """The text that was sealed; a plain one as it is. Raises CannotOpen."""
        if not text.startswith(f"{MARK}."):
            return text
        key, _, data = text.removeprefix(f"{MARK}.").partition(".")
        if key not in self._ciphers:
            raise CannotOpen(f"sealed with the key {key}, which is not in WEBHOOK_SECRETS_KEYS")
        try:
            raw = base64.urlsafe_b64decode(data)
            nonce, sealed = raw[:_NONCE_BYTES], raw[_NONCE_BYTES:]
            return self._ciphers[key].decrypt(nonce, sealed, owner.encode()).decode()
        except (InvalidTag, ValueError):
            raise CannotOpen("changed since it was sealed, or of another row") from None


def key_id(key: str) -> str:
    """What names a key in sealed texts; the key cannot be found from it."""
    return _digest("name", key).hex()[:8]


def _digest(purpose: str, key: str) -> bytes:
    """32 bytes of a key, which is a random text of 32 characters or more: one hash is enough."""
    return hashlib.sha256(f"mintari {purpose}\n{key}".encode()).digest()
