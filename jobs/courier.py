"""Sends what webhooks are to be told, in every worker; Redis is not needed for it."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from typing import TYPE_CHECKING

from core.log import get_logger
from core.outside import look_up
from db.deliveries import Outcome, claim_deliveries, settle_delivered, settle_failed
from db.engine import is_database_down
from jobs.delivery import GONE, post
from jobs.resealing import reseal_secrets
from jobs.tally import note_delivery
from jobs.transactions import in_transaction

if TYPE_CHECKING:
    from uuid import UUID

    from core.outside import Lookup
    from db.deliveries import Delivery, Settled
    from db.engine import Connection
    from jobs.delivery import Answer
    from jobs.kit import Kit

EACH = 4
"""Requests at once to one webhook: one that is slow must not keep all others waiting."""
LEASE_MARGIN_S = 15.0
"""After the deadline of a try, until another worker may make the next one."""
JITTER = 0.2
"""Pauses are longer by up to this part, so that not everything comes back at the same moment."""

_log = get_logger(__name__)


class Courier:
    """One worker's deliveries. `lookup` says which addresses a name has."""

    def __init__(self, kit: Kit, lookup: Lookup = look_up) -> None:
        self._kit = kit
        self._lookup = lookup
        self._under_way: Counter[UUID] = Counter()
        self._freed = asyncio.Event()

    async def run(self) -> None:
        """Deliver until cancelled."""
        sealed = False
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._freed.clear()
                try:
                    if not sealed:
                        await reseal_secrets(self._kit.database, self._kit.sealer)
                        sealed = True
                    for delivery in await self._claim():
                        self._under_way[delivery.webhook_id] += 1
                        tasks.create_task(self._deliver(delivery))
                except Exception as error:
                    if not is_database_down(error):
                        _log.exception("messages of webhooks not claimed")
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._kit.settings.sweep_interval_s):
                        await self._freed.wait()

    async def _claim(self) -> list[Delivery]:
        settings = self._kit.settings
        free = settings.webhook_concurrency - self._under_way.total()
        if free <= 0:
            return []
        busy = [one for one, count in self._under_way.items() if count >= EACH]
        lease_s = settings.webhook_timeout_s + LEASE_MARGIN_S
        async with self._kit.database.transaction() as connection:
            return await claim_deliveries(
                connection, limit=free, each=EACH, busy=busy, lease_s=lease_s
            )

    async def _deliver(self, delivery: Delivery) -> None:
        settings = self._kit.settings
        try:
            answer = await post(
                delivery,
                sealer=self._kit.sealer,
                timeout_s=settings.webhook_timeout_s,
                loopback=settings.webhook_loopback,
                lookup=self._lookup,
            )
            settled = await in_transaction(
                self._kit.database, lambda connection: self._settle(connection, delivery, answer)
            )
            note_delivery(self._kit.metrics, answer.error is None, settled)
            if settled.disabled:
                _log.warning(
                    "webhook disabled", webhook=str(delivery.webhook_id), because=settled.disabled
                )
        except Exception:
            # Its claim runs out, and it is tried again.
            _log.exception("message of a webhook not settled", message=str(delivery.id))
        finally:
            self._under_way -= Counter({delivery.webhook_id: 1})
            self._freed.set()

    async def _settle(self, connection: Connection, delivery: Delivery, answer: Answer) -> Settled:
        outcome = Outcome(
            duration_ms=answer.duration_ms,
            status=answer.status,
            error=answer.error,
            retry_in_s=self._retry_in_s(delivery, answer),
        )
        if answer.error is None:
            return await settle_delivered(connection, delivery, outcome)
        return await settle_failed(
            connection,
            delivery,
            outcome,
            gone=answer.status == GONE,
            disable_after_s=self._kit.settings.webhook_disable_after_s,
        )

    def _retry_in_s(self, delivery: Delivery, answer: Answer) -> float | None:
        """The pause that the schedule has for this try, or longer if the receiver asks for it."""
        pauses_s = self._kit.settings.webhook_retry_delays_s
        tries = delivery.tries - delivery.earlier_tries
        if tries > len(pauses_s):
            return None
        pause_s = pauses_s[tries - 1] * (1 + random.uniform(0, JITTER))  # noqa: S311  # no secret
        return max(pause_s, answer.retry_after_s)
