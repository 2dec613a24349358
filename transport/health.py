"""Whether this process is alive, and whether it can serve."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

if TYPE_CHECKING:
    from starlette.requests import Request

    from jobs.readiness import Report
    from resolvers.context import App


async def healthz(_request: Request) -> Response:
    """GET /healthz: the process answers."""
    return JSONResponse({"status": "ok"})


async def readyz(request: Request) -> Response:
    """GET /readyz: 200 when jobs can be accepted."""
    app: App = request.app.state.service
    return answer_readiness(await app.readiness.look())


def answer_readiness(report: Report) -> Response:
    """A report as JSON, with 200 or 503. `mintari doctor` says more than whether a part is well."""
    return JSONResponse(
        {"status": report.status, "parts": report.parts},
        status_code=200 if report.is_ready else 503,
        headers={"cache-control": "no-store"},
    )
