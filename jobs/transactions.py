"""Writes that must not be lost: repeated while Postgres is away."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from core.patience import persevere
from db.engine import is_database_down

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from db.engine import Connection, Database

T = TypeVar("T")
PATIENCE_S = 600.0
"""How long a bought picture is held while storage or Postgres is away."""


async def in_transaction(database: Database, action: Callable[[Connection], Awaitable[T]]) -> T:
    """Do something in a transaction, again and again while Postgres is away.

    The action must be safe to repeat: the answer to a commit can be lost.
    """

    async def once() -> T:
        async with database.transaction() as connection:
            return await action(connection)

    return await persevere(once, while_=is_database_down, patience_s=PATIENCE_S)
