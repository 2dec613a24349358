"""One try at telling a webhook something: an HTTP POST to a checked address, answer unread."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import httpx
import msgspec

from core.log import get_logger
from core.outside import NotPublic, find_target
from core.sealing import CannotOpen
from core.webhooks import read_webhook_url, signed_headers
from providers.http import trusted_authorities

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.outside import Lookup, Target
    from core.sealing import Sealer
    from db.deliveries import Delivery

MAX_RETRY_AFTER_S = 86_400
GONE = 410

_log = get_logger(__name__)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came back. `status`: None without an answer; `error`: for the owner, None if it went."""

    duration_ms: int
    status: int | None = None
    error: str | None = None
    retry_after_s: int = 0


async def post(
    delivery: Delivery, *, sealer: Sealer, timeout_s: float, loopback: bool, lookup: Lookup
) -> Answer:
    """Send a message once, within `timeout_s` seconds; never raises but when cancelled.

    The body of the answer is never read: nothing in it matters, and it could have any size.
    """
    began_s = time.monotonic()
    status, retry_after_s, error = None, 0, None
    try:
        async with asyncio.timeout(timeout_s):
            secrets = _opened(delivery, sealer)
            place = read_webhook_url(delivery.url, loopback=loopback)
            # Looked up for every try: its address may have changed since it was registered.
            target = await find_target(place, loopback=loopback, lookup=lookup)
            status, retry_after_s = await _send(target, delivery, secrets, timeout_s)
        if status >= 300:
            error = f"answered {status}" + ("; redirects are not followed" * (status < 400))
    except (TimeoutError, httpx.TimeoutException):
        error = f"did not answer within {timeout_s:g} s"
    except CannotOpen as reason:
        _log.error(
            "secret of a webhook not read", webhook=str(delivery.webhook_id), because=str(reason)
        )
        error = "its secret cannot be read here: an operator has to see to it"
    except ValueError as refusal:
        error = f"the address {refusal}"
    except NotPublic:
        error = "the address is not public"
    except httpx.HTTPError as failure:
        error = f"no connection, or a broken one ({type(failure).__name__})"
    except OSError:
        error = "the name is not found"
    return Answer(
        duration_ms=round((time.monotonic() - began_s) * 1000),
        status=status,
        error=error,
        retry_after_s=retry_after_s,
    )


def _opened(delivery: Delivery, sealer: Sealer) -> list[str]:
    """What the message is signed with. Raises CannotOpen."""
    sealed = [secret for secret in (delivery.secret, delivery.old_secret) if secret]
    return [sealer.open(secret, owner=str(delivery.webhook_id)) for secret in sealed]


async def _send(
    target: Target, delivery: Delivery, secrets: Sequence[str], timeout_s: float
) -> tuple[int, int]:
    """Returns the status, and after how many seconds the receiver wants the next try."""
    message_id = f"msg_{delivery.id.hex}"
    # A client of its own: a kept connection would be reused for another name at one address.
    async with (
        httpx.AsyncClient(
            verify=trusted_authorities(), timeout=timeout_s, trust_env=False, follow_redirects=False
        ) as client,
        client.stream(
            "POST",
            target.pinned_url,
            content=delivery.payload.encode(),
            headers={
                **target.headers,
                "content-type": "application/json",
                "user-agent": "Mintari-Webhooks",
                **signed_headers(message_id, int(time.time()), delivery.payload, secrets),
            },
            extensions=target.extensions,
        ) as response,
    ):
        return response.status_code, _retry_after_s(response)


def _retry_after_s(response: httpx.Response) -> int:
    text = response.headers.get("retry-after", "")
    # A date is allowed as well, and is not worth a trust in clocks.
    return min(int(text), MAX_RETRY_AFTER_S) if text.isascii() and text.isdigit() else 0
