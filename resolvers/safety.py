"""Judging what a user asks for, before anything of it is accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.errors import PromptRejected, UploadRejected
from db.audit import AuditEntry, Decision, record_audit
from resolvers.admission import decide
from resolvers.texts import added_by_delta

if TYPE_CHECKING:
    from core.pictures import Picture
    from core.safety.policy import Verdict
    from resolvers.admission import Wish
    from resolvers.context import App, Request


async def require_allowed(app: App, wish: Wish) -> None:
    """Judge the prompt and what a delta adds. Raises PromptRejected, RateLimited.

    Style and safety text are the operator's and are not judged. A refusal counts as a request,
    so that nobody can find out in a thousand tries what passes; it starts no job.
    """
    verdict = app.policy.judge(wish.prompt, added_by_delta(wish.prompt_delta or ""))
    if verdict is not None:
        await _refuse(app, wish, verdict)


async def require_allowed_photo(app: App, request: Request, picture: Picture) -> None:
    """Judge a photo, if a classifier is set up. Raises Unauthenticated, UploadRejected."""
    if app.picture_judge is None or await app.picture_judge.allows(picture.content):
        return
    entry = AuditEntry(
        user_id=request.require_viewer().user_id,
        action="create_upload",
        decision=Decision.REJECTED,
        category="picture",
        remote_address=request.remote_address,
        policy_version=app.policy.version,
    )
    async with app.database.transaction() as connection:
        await record_audit(connection, entry)
    app.metrics.safety_refusals.labels("picture").inc()
    raise UploadRejected("This photo's content is not allowed. Please choose another one.")


async def _refuse(app: App, wish: Wish, verdict: Verdict) -> None:
    await decide(app, wish, category=verdict.category)
    app.metrics.safety_refusals.labels(verdict.category).inc()
    raise PromptRejected(verdict.message, category=verdict.category)
