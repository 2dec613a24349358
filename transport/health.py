"""Whether this process is alive, and whether it can serve."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from core.log import get_logger
from db.migrate import head_revision, revision_of

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from starlette.requests import Request

    from resolvers.context import App

DEADLINE_S = 2.0

_log = get_logger(__name__)


async def healthz(_request: Request) -> Response:
    """GET /healthz: the process answers."""
    return JSONResponse({"status": "ok"})


async def readyz(request: Request) -> Response:
    """GET /readyz: 200 when jobs can be accepted. Redis may be away: it only makes things fast."""
    app: App = request.app.state.service
    database, redis = await asyncio.gather(
        _answers("database", _is_migrated(app)), _answers("redis", app.publisher.ping())
    )
    parts = {"database": database, "redis": redis}
    return JSONResponse(
        {"status": "ok" if database else "unavailable", "parts": parts},
        status_code=200 if database else 503,
    )


async def _is_migrated(app: App) -> bool:
    async with app.database.read() as connection:
        return await revision_of(connection) == head_revision()


async def _answers(part: str, question: Awaitable[bool]) -> bool:
    try:
        async with asyncio.timeout(DEADLINE_S):
            return await question
    except Exception as error:
        _log.warning("not ready", part=part, error=type(error).__name__)
        return False
