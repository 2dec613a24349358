"""What a webhook was told, and how often it was tried."""

from __future__ import annotations

from datetime import datetime

import strawberry

from db.webhooks import MessageRecord, TryRecord
from schema.context import Info
from schema.costs import ListSize
from schema.enums import WebhookEvent, WebhookMessageState


@strawberry.type(description="One try at telling a webhook something.")
class WebhookTry:
    """One try."""

    number: int = strawberry.field(description="Counts from 1.")
    began_at: datetime = strawberry.field(description="When it began.")
    duration_ms: int = strawberry.field(description="How long it took, milliseconds.")
    status: int | None = strawberry.field(
        description="The HTTP status of the answer; null without one."
    )
    error: str | None = strawberry.field(description="What was wrong; null if it was delivered.")

    @classmethod
    def from_record(cls, one: TryRecord) -> WebhookTry:
        """As clients see it."""
        return cls(
            number=one.number,
            began_at=one.began_at,
            duration_ms=one.duration_ms,
            status=one.status,
            error=one.error,
        )


@strawberry.type(description="Something that a webhook was, or is to be, told.")
class WebhookMessage:
    """What a webhook is told once."""

    record: strawberry.Private[MessageRecord]
    id: strawberry.ID = strawberry.field(
        description="Unique identifier: without its dashes, it is the header `webhook-id` after"
        " `msg_`, in every try."
    )
    event: WebhookEvent = strawberry.field(description="What it tells of.")
    payload: str = strawberry.field(description="The body as it is sent, JSON.")
    state: WebhookMessageState = strawberry.field(description="Where it is in its life.")
    created_at: datetime = strawberry.field(description="When it happened.")
    next_try_at: datetime | None = strawberry.field(
        description="When it is tried (again); null unless PENDING."
    )
    ended_at: datetime | None = strawberry.field(
        description="When it was delivered or given up; null while it is PENDING."
    )

    @strawberry.field(
        description="All tries, oldest first.", directives=[ListSize(assumed_size=10)]
    )
    async def tries(self, info: Info) -> list[WebhookTry]:
        """The log of this message."""
        found = await info.context.loaders.webhook_tries(self.record.id)
        return [WebhookTry.from_record(one) for one in found]

    @classmethod
    def from_record(cls, message: MessageRecord) -> WebhookMessage:
        """As clients see it."""
        is_pending = message.state is WebhookMessageState.PENDING
        return cls(
            record=message,
            id=strawberry.ID(str(message.id)),
            event=message.event,
            payload=message.payload,
            state=message.state,
            created_at=message.created_at,
            next_try_at=message.next_try_at if is_pending else None,
            ended_at=message.ended_at,
        )
