"""How fast one client may ask: later rather than not at all, and whoever sends nonsense soonest.

The generic cell rate algorithm (ITU-T I.371): one number per client, the moment at which all that
it has asked for is paid off at the allowed rate. A client whose moment is further away than the
burst waits; nothing of its request is read meanwhile, so an attack in a closed loop runs at our
pace.
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
import time
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING

from core.errors import RateLimited

if TYPE_CHECKING:
    from resolvers.context import Request

BURST_S = 20.0
"""A client may ask at once for what the rate allows in so many seconds."""
REFUSED = 20
"""As many requests does one count that was refused: parsed, measured and validated for nothing."""
TOO_LARGE = 200
"""The same of a body that was too large: reading 12 MB takes some ten milliseconds."""
MAX_WAITING = 16
"""Requests of one client that wait at once; more are refused."""
MAX_WAIT_S = 10.0
"""Who would have to wait for longer is refused,"""
HOLD_S = 2.0
"""after this: a refusal that comes at once is asked for again at once."""
PACE = "PACE"
"""The limit's name in the metrics."""
MAX_CLIENTS = 20_000
"""Clients that are remembered; who has paid off everything goes when they are more."""


class Pace:
    """Counts requests by client.

    Args:
        per_s: requests of one client a second.
    """

    def __init__(self, per_s: float) -> None:
        self._per_s = per_s
        self._paid_off_s: dict[str, float] = {}
        self._waiting: Counter[str] = Counter()

    def count(self, client: str, requests: float = 1) -> None:
        """Count so many requests of a client."""
        now_s = time.monotonic()
        paid_off_s = max(now_s, self._paid_off_s.get(client, 0.0)) + requests / self._per_s
        self._paid_off_s[client] = paid_off_s
        if len(self._paid_off_s) > MAX_CLIENTS:
            self._forget(now_s)

    def wait_s(self, client: str) -> float:
        """How long the client has to wait before its next request, seconds; 0: not at all."""
        return max(0.0, self._paid_off_s.get(client, 0.0) - time.monotonic() - BURST_S)

    async def turn(self, client: str) -> None:
        """Wait until the client may ask, and count one request.

        Raises RateLimited when too many of its requests wait, or one would have to for too long.
        """
        if self.wait_s(client):
            await self._wait(client)
        self.count(client)

    async def _wait(self, client: str) -> None:
        give_up_s = time.monotonic() + MAX_WAIT_S
        if self._waiting[client] >= MAX_WAITING:
            raise self.refusal(client)
        self._waiting[client] += 1
        try:
            while wait_s := self.wait_s(client):
                if time.monotonic() + wait_s > give_up_s:
                    await asyncio.sleep(HOLD_S)
                    raise self.refusal(client)
                await asyncio.sleep(wait_s)
        finally:
            self._waiting[client] -= 1
            if not self._waiting[client]:
                del self._waiting[client]

    def refusal(self, client: str) -> RateLimited:
        """What is told to a client that asks too fast."""
        return RateLimited(
            f"{self._per_s:g} requests a second are allowed, and one that is refused counts as"
            f" {REFUSED}. Please wait a little.",
            limit=math.ceil(self._per_s),
            retry_after_s=int(self.wait_s(client)) + 1,
        )

    def _forget(self, now_s: float) -> None:
        """Forget half: those who owe least."""
        by_debt = sorted(self._paid_off_s.items(), key=lambda one: one[1], reverse=True)
        kept = by_debt[: MAX_CLIENTS // 2]
        self._paid_off_s = {client: at_s for client, at_s in kept if at_s > now_s}


def client_of(request: Request) -> str:
    """Who is counted: the user, or the address of whoever has no token that holds."""
    if request.viewer is not None:
        return client_of_user(request.viewer.user_id)
    return client_at(request.remote_address)


def client_of_user(user_id: str) -> str:
    """Who is counted when a user asks."""
    return f"user {user_id}"


@lru_cache(maxsize=4096)
def client_at(address: str | None) -> str:
    """Who is counted at an address. A network of IPv6 is one client: it has 2^64 addresses."""
    try:
        at = ipaddress.ip_address(address or "")
    except ValueError:
        return f"address {address}"
    if at.version == 6:
        return f"address {ipaddress.ip_network((at, 64), strict=False)}"
    return f"address {at}"
