"""Seals webhooks' secrets anew: those in plain text, and those sealed with an older key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.log import get_logger
from core.sealing import CannotOpen
from db.webhook_secrets import StoredSecrets, lock_stale_secrets, store_secrets

if TYPE_CHECKING:
    from core.sealing import Sealer
    from db.engine import Database

_log = get_logger(__name__)


async def reseal_secrets(database: Database, sealer: Sealer) -> None:
    """Seal all with the newest key; what cannot be opened stays, and is logged.

    One transaction each, so that nobody waits for the lock of a row.
    """
    found: StoredSecrets | None = None
    while sealer.newest is not None:
        async with database.transaction() as connection:
            after = found.id if found else None
            found = await lock_stale_secrets(connection, sealer.newest, after=after)
            if found is None:
                return
            try:
                await store_secrets(connection, _resealed(found, sealer))
            except CannotOpen as error:
                _log.error(
                    "secret of a webhook not read", webhook=str(found.id), because=str(error)
                )


def _resealed(stored: StoredSecrets, sealer: Sealer) -> StoredSecrets:
    owner = str(stored.id)

    def again(text: str) -> str:
        return sealer.seal(sealer.open(text, owner=owner), owner=owner)

    old = again(stored.old_secret) if stored.old_secret else None
    return StoredSecrets(id=stored.id, secret=again(stored.secret), old_secret=old)
