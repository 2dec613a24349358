"""Webhooks' secrets are sealed in the database, with keys that can be changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from standardwebhooks import Webhook

from core.sealing import CannotOpen, Sealer, key_id
from mintari.doctor import CHECKS, Unwell
from mintari.service import open_kit
from tests.conftest import running_api
from tests.parts.test_webhooks import (
    CREATE,
    UPDATE,
    Receiver,
    cancelled_grid,
    create,
    delivering,
    receiver,
    settled,
)
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.settings import Settings
    from jobs.kit import Kit

__all__ = ["receiver"]

OLD, NEW, OTHER = ("old-" * 8, "new-" * 8, "other" * 7)
doctor = dict(CHECKS)["webhooks"]


def test_what_is_sealed_can_be_opened_by_its_owner_with_its_key_alone() -> None:
    sealer = Sealer([NEW, OLD])
    sealed = sealer.seal("whsec_abc", owner="ann")
    assert sealed.startswith(f"sealed.{key_id(NEW)}.")
    assert "whsec_abc" not in sealed
    assert sealed != sealer.seal("whsec_abc", owner="ann")
    assert sealer.open(sealed, owner="ann") == "whsec_abc"
    assert Sealer([OTHER, NEW]).open(sealed, owner="ann") == "whsec_abc"
    with pytest.raises(CannotOpen, match=f"the key {key_id(NEW)}, which is not in"):
        Sealer([OLD]).open(sealed, owner="ann")
    with pytest.raises(CannotOpen, match="changed since it was sealed, or of another row"):
        sealer.open(sealed, owner="bob")
    for broken in (sealed[:-8] + "AAAAAAA=", sealed[:20], "sealed.x", f"sealed.{key_id(NEW)}.é"):
        with pytest.raises(CannotOpen):
            sealer.open(broken, owner="ann")
    assert Sealer([OLD]).open(Sealer([OLD]).seal("x", owner="a"), owner="a") == "x"


def test_without_keys_plain_texts_are_read_and_nothing_is_sealed() -> None:
    sealer = Sealer([])
    assert sealer.open("whsec_abc", owner="ann") == "whsec_abc"
    with pytest.raises(LookupError):
        sealer.seal("whsec_abc", owner="ann")


@pytest.fixture
def settings_with(make_settings: Callable[..., Settings]) -> Callable[..., Settings]:
    def make(*keys: str) -> Settings:
        return make_settings(
            webhook_loopback=True,
            webhook_retry_delays_s=(),
            sweep_interval_s=0.05,
            webhook_secrets_keys=",".join(keys),
        )

    return make


async def stored(settings: Settings) -> list[str]:
    """All secrets, as they are in the database."""
    async with open_kit(settings) as kit, kit.database.read() as connection:
        rows = await connection.execute(text("SELECT secret, old_secret FROM webhooks"))
        return [secret for row in rows for secret in row if secret]


async def sealed_with(kit: Kit, key: str) -> None:
    """Wait until a worker has sealed all secrets with this key."""

    async def is_so() -> bool:
        return all(one.startswith(f"sealed.{key_id(key)}.") for one in await stored(kit.settings))

    await wait_until(is_so, within_s=30, what="secrets sealed anew")


async def test_keys_are_changed_without_losing_anything(
    settings_with: Callable[..., Settings], receiver: Receiver
) -> None:
    old, both, new = settings_with(OLD), settings_with(NEW, OLD), settings_with(NEW)
    async with running_api(old) as api:
        ann = api.client("ann")
        webhook_id, first = await create(ann, f"{receiver.url}/in", "JOB_CANCELLED")
        rotated = await ann.ask(UPDATE, input={"webhookId": webhook_id, "rotateSecret": True})
        secrets = [first, rotated.data["updateWebhook"]["secret"]]
        assert len(await stored(old)) == 2
        for one in await stored(old):
            assert one.startswith(f"sealed.{key_id(OLD)}.")
            assert not any(secret.removeprefix("whsec_") in one for secret in secrets)
        assert await doctor(old) == "2 of 2 secrets are encrypted"
        told = "2 of 2 secrets are encrypted, 2 of them not with the newest key: restart a worker"
        assert await doctor(both) == told
        async with delivering(both) as kit:
            await sealed_with(kit, NEW)
        async with delivering(new):
            await cancelled_grid(ann)
            await settled(ann, "DELIVERED")
        assert await doctor(new) == "2 of 2 secrets are encrypted"
    ((headers, body),) = receiver.requests
    for secret in secrets:
        Webhook(secret).verify(body, headers)


async def test_without_its_key_nothing_is_signed(
    settings_with: Callable[..., Settings], receiver: Receiver
) -> None:
    async with running_api(settings_with(OLD)) as api:
        ann = api.client("ann")
        await create(ann, f"{receiver.url}/in", "JOB_CANCELLED")
        before = await stored(settings_with(OLD))
        async with delivering(settings_with(NEW)):
            await cancelled_grid(ann)
            (message,) = await settled(ann, "FAILED")
    told = "its secret cannot be read here: an operator has to see to it"
    assert [one["error"] for one in message["tries"]] == [told]
    assert receiver.requests == []
    assert await stored(settings_with(NEW)) == before
    with pytest.raises(Unwell, match=rf"1 with {key_id(OLD)}\): set the old keys again"):
        await doctor(settings_with(NEW))


async def test_without_any_key_none_are_made_and_old_plain_ones_work(
    settings_with: Callable[..., Settings], receiver: Receiver
) -> None:
    none, new = settings_with(), settings_with(NEW)
    refused = "WEBHOOK_SECRETS_KEYS"
    async with running_api(none) as api:
        ann = api.client("ann")
        wanted = {"url": f"{receiver.url}/in"}
        result = (await ann.ask(CREATE, input=wanted)).data["createWebhook"]
        assert (result["__typename"], result["code"]) == ("WebhookRefused", "WEBHOOK_REFUSED")
        assert refused in result["message"]
        assert await doctor(none) == "none can be made, as WEBHOOK_SECRETS_KEYS is not set"

        async with running_api(new) as other:
            webhook_id, secret = await create(
                other.client("ann"), f"{receiver.url}/in", "JOB_CANCELLED"
            )
        # As a release without keys has written it.
        async with open_kit(none) as kit, kit.database.transaction() as connection:
            await connection.execute(text("UPDATE webhooks SET secret = :it"), {"it": secret})
        rotate = {"webhookId": webhook_id, "rotateSecret": True}
        result = (await ann.ask(UPDATE, input=rotate)).data["updateWebhook"]
        assert (result["__typename"], result["code"]) == ("WebhookRefused", "WEBHOOK_REFUSED")
        with pytest.raises(Unwell, match="1 secrets are in the database in plain text"):
            await doctor(none)
        async with delivering(none):
            await cancelled_grid(ann)
            await settled(ann, "DELIVERED")
        assert await stored(none) == [secret]
        async with delivering(new) as kit:
            await sealed_with(kit, NEW)
            await cancelled_grid(ann, prompt="b")
            await settled(ann, "DELIVERED", 2)
    for headers, body in receiver.requests:
        Webhook(secret).verify(body, headers)
