"""Webhooks: being told of changes by HTTP requests of ours (Standard Webhooks)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry

from db.webhooks import WebhookRecord
from resolvers.webhooks import (
    WebhookChange,
    create_webhook,
    delete_webhook,
    page_webhook_messages,
    read_webhooks,
    replay_webhook,
    update_webhook,
)
from schema.connections import Connection, connection
from schema.context import Info
from schema.costs import PAGE, WRITE, ListSize, paged
from schema.enums import DisabledBecause, WebhookEvent, WebhookMessageState
from schema.errors import InvalidInput, WebhookNotFound, WebhookRefused
from schema.webhook_messages import WebhookMessage

DEFAULT_EVENTS = [
    WebhookEvent.JOB_SUCCESS,
    WebhookEvent.JOB_FAILED,
    WebhookEvent.JOB_CANCELLED,
    WebhookEvent.GENERATION_FINISHED,
]


@strawberry.type(description="An address of the viewer's that is told what happens to their jobs.")
class Webhook:
    """A webhook."""

    record: strawberry.Private[WebhookRecord]
    id: strawberry.ID = strawberry.field(description="Unique identifier.")
    url: str = strawberry.field(description="Where requests go.")
    events: list[WebhookEvent] = strawberry.field(description="What it is told of.")
    enabled: bool = strawberry.field(description="Whether it is told anything.")
    disabled_because: DisabledBecause | None = strawberry.field(
        description="Why it is not; null while it is enabled."
    )
    failing_since: datetime | None = strawberry.field(
        description="Since when nothing was delivered any more; null if the last try went well."
    )
    old_secret_until: datetime | None = strawberry.field(
        description="Until then the secret before the last rotation signs as well; null without a"
        " rotation."
    )
    created_at: datetime = strawberry.field(description="When it was made.")

    @strawberry.field(
        description="What it was told, newest first; kept for 30 days by default.",
        directives=[PAGE, paged()],
    )
    async def messages(
        self,
        info: Info,
        first: Annotated[int, strawberry.argument(description="How many at most, 1 to 100.")] = 20,
        after: Annotated[
            str | None, strawberry.argument(description="The `endCursor` of the page before.")
        ] = None,
        states: Annotated[
            list[WebhookMessageState] | None,
            strawberry.argument(description="Only messages in these states; default: all."),
        ] = None,
    ) -> Connection[WebhookMessage]:
        """A page of the log."""
        page = await page_webhook_messages(info.context.app, self.record, first, after, states)
        return connection(page, WebhookMessage.from_record)

    @classmethod
    def from_record(cls, webhook: WebhookRecord) -> Webhook:
        """As clients see it."""
        return cls(
            record=webhook,
            id=strawberry.ID(str(webhook.id)),
            url=webhook.url,
            events=list(webhook.events),
            enabled=webhook.enabled,
            disabled_because=webhook.disabled_because,
            failing_since=webhook.failing_since,
            old_secret_until=webhook.old_secret_until,
            created_at=webhook.created_at,
        )


@strawberry.input(description="Whom to tell what.")
class CreateWebhookInput:
    """The arguments of createWebhook."""

    url: str = strawberry.field(
        description="https://..., of a host with a public address. Redirects are not followed."
    )
    events: list[WebhookEvent] = strawberry.field(
        default_factory=lambda: list(DEFAULT_EVENTS),
        description="What to tell of; default: every end of a job, and of a grid.",
    )


@strawberry.input(description="What to change about a webhook. What is left out stays as it was.")
class UpdateWebhookInput:
    """The arguments of updateWebhook."""

    webhook_id: strawberry.ID = strawberry.field(description="Which.")
    url: str | None = strawberry.field(default=None, description="Another address.")
    events: list[WebhookEvent] | None = strawberry.field(
        default=None, description="What to tell of from now on."
    )
    enabled: bool | None = strawberry.field(
        default=None,
        description="false: tell nothing, and give up what waits. true: begin again, with what"
        " happens from now on.",
    )
    rotate_secret: bool = strawberry.field(
        default=False,
        description="Make a new secret. For 24 hours (by default) the old one signs as well.",
    )


@strawberry.input(description="What to send again: messages by id, or all that failed.")
class ReplayWebhookInput:
    """The arguments of replayWebhook."""

    webhook_id: strawberry.ID = strawberry.field(description="Whose messages.")
    message_ids: list[strawberry.ID] | None = strawberry.field(
        default=None, description="These, also if they were delivered; 1000 at most."
    )
    failed_since: datetime | None = strawberry.field(
        default=None,
        description="Those that failed and happened then or later; the oldest 1000. With a time"
        " zone.",
    )


@strawberry.type(description="The webhook was made.")
class WebhookCreated:
    """Success of createWebhook."""

    webhook: Webhook = strawberry.field(description="The webhook.")
    secret: str = strawberry.field(
        description="Verify signatures with it. It is shown this once: keep it like a password."
    )


@strawberry.type(description="The webhook was changed.")
class WebhookUpdated:
    """Success of updateWebhook."""

    webhook: Webhook = strawberry.field(description="The webhook as it is now.")
    secret: str | None = strawberry.field(
        description="The new secret, shown this once; null unless `rotateSecret` was true."
    )


@strawberry.type(description="The webhook is deleted, with the log of what it was told.")
class WebhookDeleted:
    """Success of deleteWebhook."""

    id: strawberry.ID = strawberry.field(description="What was deleted.")


@strawberry.type(description="The messages are sent again, each under the id that it had.")
class WebhookReplayed:
    """Success of replayWebhook."""

    webhook: Webhook = strawberry.field(description="The webhook.")
    message_count: int = strawberry.field(description="How many are sent again.")


CreateWebhookResult = Annotated[
    WebhookCreated | InvalidInput | WebhookRefused,
    strawberry.union("CreateWebhookResult", description="What became of createWebhook."),
]
UpdateWebhookResult = Annotated[
    WebhookUpdated | InvalidInput | WebhookNotFound | WebhookRefused,
    strawberry.union("UpdateWebhookResult", description="What became of updateWebhook."),
]
DeleteWebhookResult = Annotated[
    WebhookDeleted | WebhookNotFound,
    strawberry.union("DeleteWebhookResult", description="What became of deleteWebhook."),
]
ReplayWebhookResult = Annotated[
    WebhookReplayed | InvalidInput | WebhookNotFound,
    strawberry.union("ReplayWebhookResult", description="What became of replayWebhook."),
]


@strawberry.type
class WebhookQueries:
    """Fields of Query."""

    @strawberry.field(
        description="The viewer's webhooks, oldest first.",
        directives=[PAGE, ListSize(assumed_size=5)],
    )
    async def webhooks(self, info: Info) -> list[Webhook]:
        """All webhooks."""
        found = await read_webhooks(info.context.app, info.context.request)
        return [Webhook.from_record(webhook) for webhook in found]


@strawberry.type
class WebhookMutations:
    """Fields of Mutation."""

    @strawberry.mutation(
        description="Be told what happens to the viewer's jobs from now on.", directives=[WRITE]
    )
    async def create_webhook(
        self,
        info: Info,
        input: Annotated[CreateWebhookInput, strawberry.argument(description="Whom, and of what.")],
    ) -> CreateWebhookResult:
        """Make a webhook."""
        context = info.context
        webhook, secret = await create_webhook(
            context.app, context.request, input.url, input.events
        )
        return WebhookCreated(webhook=Webhook.from_record(webhook), secret=secret)

    @strawberry.mutation(description="Change a webhook, or its secret.", directives=[WRITE])
    async def update_webhook(
        self,
        info: Info,
        input: Annotated[UpdateWebhookInput, strawberry.argument(description="Which, and what.")],
    ) -> UpdateWebhookResult:
        """Change a webhook."""
        change = WebhookChange(
            url=input.url,
            events=input.events,
            enabled=input.enabled,
            rotate_secret=input.rotate_secret,
        )
        context = info.context
        webhook, secret = await update_webhook(
            context.app, context.request, input.webhook_id, change
        )
        return WebhookUpdated(webhook=Webhook.from_record(webhook), secret=secret)

    @strawberry.mutation(description="Delete a webhook; nothing more is sent.", directives=[WRITE])
    async def delete_webhook(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="Its id.")]
    ) -> DeleteWebhookResult:
        """Delete a webhook."""
        deleted = await delete_webhook(info.context.app, info.context.request, id)
        return WebhookDeleted(id=strawberry.ID(str(deleted.id)))

    @strawberry.mutation(
        description="Send a webhook again what it was, or should have been, told.",
        directives=[WRITE],
    )
    async def replay_webhook(
        self,
        info: Info,
        input: Annotated[ReplayWebhookInput, strawberry.argument(description="Which messages.")],
    ) -> ReplayWebhookResult:
        """Send messages again."""
        webhook, count = await replay_webhook(
            info.context.app,
            info.context.request,
            input.webhook_id,
            message_ids=input.message_ids,
            failed_since=input.failed_since,
        )
        return WebhookReplayed(webhook=Webhook.from_record(webhook), message_count=count)
