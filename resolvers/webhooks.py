"""Webhooks of a viewer: making, changing, deleting, reading what they were told, replaying."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.errors import InvalidInput, WebhookNotFound, WebhookRefused
from core.ids import new_id, parse_id
from core.outside import NotPublic, find_target
from core.webhooks import new_secret, read_webhook_url
from db.admission import lock_user
from db.webhooks import (
    MAX_REPLAYED,
    list_webhooks,
    page_of_messages,
    read_webhook,
    replay_messages,
    rotate_secret,
)
from db.webhooks import (
    create_webhook as create_webhook_row,
)
from db.webhooks import (
    delete_webhook as delete_webhook_row,
)
from db.webhooks import (
    update_webhook as update_webhook_row,
)
from resolvers.audit import record_accepted
from resolvers.paging import Page, cut_page, page_limit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from core.settings import Settings
    from core.vocabulary import WebhookEvent, WebhookMessageState
    from db.engine import Connection
    from db.webhooks import MessageRecord, WebhookRecord
    from resolvers.context import App, Request

LOOKUP_S = 5.0
"""Deadline of looking up a webhook's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookChange:
    """What is to be changed about a webhook; None keeps what it has."""

    url: str | None = None
    events: Sequence[WebhookEvent] | None = None
    enabled: bool | None = None
    rotate_secret: bool = False


async def read_webhooks(app: App, request: Request) -> list[WebhookRecord]:
    """The viewer's webhooks, oldest first. Raises Unauthenticated."""
    viewer = request.require_viewer()
    async with app.database.read() as connection:
        return await list_webhooks(connection, viewer.user_id)


async def page_webhook_messages(
    app: App,
    webhook: WebhookRecord,
    first: int,
    after: str | None,
    states: Sequence[WebhookMessageState] | None,
) -> Page[MessageRecord]:
    """What a webhook, read for the viewer before, was told. Raises InvalidInput."""
    limit, before = page_limit(first, after)
    async with app.database.read() as connection:
        found = await page_of_messages(
            connection, webhook.id, limit=limit + 1, before=before, states=states
        )
    return cut_page(found, limit)


async def create_webhook(
    app: App, request: Request, url: str, events: Sequence[WebhookEvent]
) -> tuple[WebhookRecord, str]:
    """Make a webhook; returns it and its secret, which is never shown again.

    Raises Unauthenticated, InvalidInput, WebhookRefused.
    """
    viewer = request.require_viewer()
    if viewer.is_anonymous:
        raise WebhookRefused("Please sign in: anonymous users can have no webhooks.")
    await _check_url(app.settings, url)
    _check_events(events)
    _check_keys(app)
    webhook_id, secret = new_id(), new_secret()
    async with app.database.transaction() as connection:
        await lock_user(connection, viewer.user_id)
        most = app.settings.webhooks_per_user
        if len(await list_webhooks(connection, viewer.user_id)) >= most:
            raise WebhookRefused(f"You can have {most} webhooks here: delete one first.")
        webhook = await create_webhook_row(
            connection,
            webhook_id,
            viewer.user_id,
            url=url,
            events=events,
            sealed_secret=app.sealer.seal(secret, owner=str(webhook_id)),
        )
        await record_accepted(connection, request, "create_webhook", subject_id=webhook.id)
    return webhook, secret


async def update_webhook(
    app: App, request: Request, id_text: str, change: WebhookChange
) -> tuple[WebhookRecord, str | None]:
    """Change a webhook; returns it and its new secret, if it was to have one.

    Raises Unauthenticated, InvalidInput, WebhookNotFound, WebhookRefused.
    """
    if change.events is not None:
        _check_events(change.events)
    if change.url is not None:
        request.require_viewer()
        await _check_url(app.settings, change.url)
    if change.rotate_secret:
        _check_keys(app)
    async with app.database.transaction() as connection:
        old = await _owned(connection, request, id_text)
        webhook = await update_webhook_row(
            connection,
            old.id,
            url=old.url if change.url is None else change.url,
            events=old.events if change.events is None else change.events,
            enabled=old.enabled if change.enabled is None else change.enabled,
        )
        secret = new_secret() if change.rotate_secret else None
        if secret is not None:
            overlap_s = app.settings.webhook_secret_overlap_s
            sealed = app.sealer.seal(secret, owner=str(old.id))
            webhook = await rotate_secret(connection, old.id, sealed, overlap_s=overlap_s)
        await record_accepted(connection, request, "update_webhook", subject_id=webhook.id)
    return webhook, secret


async def delete_webhook(app: App, request: Request, id_text: str) -> WebhookRecord:
    """Delete a webhook with its log. Raises Unauthenticated, WebhookNotFound."""
    async with app.database.transaction() as connection:
        webhook = await _owned(connection, request, id_text)
        await delete_webhook_row(connection, webhook.id, webhook.user_id)
        await record_accepted(connection, request, "delete_webhook", subject_id=webhook.id)
    return webhook


async def replay_webhook(
    app: App,
    request: Request,
    id_text: str,
    *,
    message_ids: Sequence[str] | None,
    failed_since: datetime | None,
) -> tuple[WebhookRecord, int]:
    """Send messages again, under the ids that they had; returns how many.

    Raises Unauthenticated, InvalidInput, WebhookNotFound.
    """
    request.require_viewer()
    if (message_ids is None) == (failed_since is None):
        raise InvalidInput("Give either messageIds or failedSince.", field="messageIds")
    if len(message_ids or ()) > MAX_REPLAYED:
        raise InvalidInput(f"At most {MAX_REPLAYED} messages at once.", field="messageIds")
    if failed_since is not None and failed_since.tzinfo is None:
        raise InvalidInput("failedSince needs a time zone.", field="failedSince")
    known = [found for text in message_ids or () if (found := parse_id(text))]
    async with app.database.transaction() as connection:
        webhook = await _owned(connection, request, id_text)
        if not webhook.enabled:
            raise InvalidInput("The webhook is disabled: enable it first.", field="webhookId")
        count = await replay_messages(connection, webhook.id, ids=known, failed_since=failed_since)
        await record_accepted(connection, request, "replay_webhook", subject_id=webhook.id)
    return webhook, count


async def _owned(connection: Connection, request: Request, id_text: str) -> WebhookRecord:
    """The viewer's webhook, locked. Raises Unauthenticated, WebhookNotFound."""
    viewer = request.require_viewer()
    webhook_id = parse_id(id_text)
    if webhook_id is not None:
        found = await read_webhook(connection, webhook_id, viewer.user_id, lock=True)
        if found is not None:
            return found
    raise WebhookNotFound("There is no such webhook.")


def _check_keys(app: App) -> None:
    if app.sealer.newest is None:
        raise WebhookRefused(
            "This server makes no secrets for webhooks: its operator has to set"
            " WEBHOOK_SECRETS_KEYS."
        )


def _check_events(events: Sequence[WebhookEvent]) -> None:
    if not events:
        raise InvalidInput("Name one event or more.", field="events")


async def _check_url(settings: Settings, url: str) -> None:
    """Refuse an address that no try would be made at; it is checked again before each."""
    loopback = settings.webhook_loopback
    try:
        place = read_webhook_url(url, loopback=loopback)
    except ValueError as reason:
        raise InvalidInput(f"The URL {reason}.", field="url") from None
    try:
        async with asyncio.timeout(LOOKUP_S):
            await find_target(place, loopback=loopback)
    except (OSError, TimeoutError):
        raise InvalidInput("The URL's host is not found.", field="url") from None
    except NotPublic:
        raise InvalidInput("The URL's host must have a public address.", field="url") from None
