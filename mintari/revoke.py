"""`mintari revoke`: the tokens that a user has now are refused, and their sockets close."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.redis import REDIS_DOWN, open_redis
from db.engine import open_database
from db.revocations import revoke_user
from jobs.channels import Channels

if TYPE_CHECKING:
    from core.settings import Settings


async def revoke(settings: Settings, user_id: str) -> bool:
    """Revoke a user; False when Redis is away, so that it takes some seconds to be known."""
    async with open_database(settings) as database, database.transaction() as connection:
        await revoke_user(connection, user_id)
    try:
        async with open_redis(settings) as redis:
            await redis.publish(Channels(settings.redis_prefix).revoked, b"")  # pyright: ignore[reportUnknownMemberType]
    except REDIS_DOWN:
        return False
    return True
