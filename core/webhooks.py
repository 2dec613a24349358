"""Standard Webhooks 1.0.0: secrets, signatures and which addresses are told.

Source: github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from typing import TYPE_CHECKING

from core.outside import Place, read_place

if TYPE_CHECKING:
    from collections.abc import Sequence

SECRET_START = "whsec_"  # noqa: S105  # no secret
SECRET_BYTES = 32
MAX_URL_CHARS = 2048


def new_secret() -> str:
    """A random signing secret, as its owner is shown it."""
    return SECRET_START + base64.b64encode(os.urandom(SECRET_BYTES)).decode()


def signed_headers(
    message_id: str, sent_at_s: int, payload: str, secrets: Sequence[str]
) -> dict[str, str]:
    """The headers of one try; a signature for each secret, while an old one still holds."""
    content = f"{message_id}.{sent_at_s}.{payload}".encode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(sent_at_s),
        "webhook-signature": " ".join(_signature(secret, content) for secret in secrets),
    }


def _signature(secret: str, content: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(SECRET_START))
    return "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()


def read_webhook_url(url: str, *, loopback: bool) -> Place:
    """Take a webhook's URL apart. Raises ValueError with a reason for its owner."""
    if len(url) > MAX_URL_CHARS or not url.isascii() or not url.isprintable():
        raise ValueError(f"must have {MAX_URL_CHARS} printable ASCII characters at most")
    try:
        place = read_place(url)
    except ValueError:
        raise ValueError("must be like https://example.com/path, without credentials") from None
    is_here = loopback and place.is_this_machine and place.url.scheme == "http"
    if place.url.scheme != "https" and not is_here:
        raise ValueError("must be https")
    return place
