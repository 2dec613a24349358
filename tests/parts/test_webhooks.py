"""Webhooks: told in the transaction of the change, signed, tried again, never into our network."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx
import jwt
import pytest
from sqlalchemy import text
from standardwebhooks import Webhook, WebhookVerificationError
from starlette.applications import Starlette
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from core.vocabulary import ErrorCode
from core.webhooks import new_secret, signed_headers
from db.lifecycle import claim, fail, retry_later
from db.webhooks import forget_old_messages
from jobs.courier import EACH, Courier
from jobs.delivery import MAX_RETRY_AFTER_S
from mintari.service import open_kit
from mintari.standins.running import running
from tests.conftest import SECRET, free_port, running_api, running_worker
from tests.parts.observed import parse
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Sequence

    from starlette.requests import Request

    from core.settings import Settings
    from jobs.kit import Kit
    from tests.client import Client, Json

PARTS = """
  fragment Parts on Webhook {
    id url events enabled disabledBecause failingSince oldSecretUntil
    messages { nodes { id event payload state nextTryAt endedAt
      tries { number status error durationMs } } }
  }
"""
CREATE = (
    """mutation($input: CreateWebhookInput!) { createWebhook(input: $input) { __typename
      ... on WebhookCreated { secret webhook { ...Parts } }
      ... on UserError { code message } ... on InvalidInput { field } } }"""
    + PARTS
)
UPDATE = (
    """mutation($input: UpdateWebhookInput!) { updateWebhook(input: $input) { __typename
      ... on WebhookUpdated { secret webhook { ...Parts } }
      ... on UserError { code message } ... on InvalidInput { field } } }"""
    + PARTS
)
REPLAY = """mutation($input: ReplayWebhookInput!) { replayWebhook(input: $input) { __typename
  ... on WebhookReplayed { messageCount } ... on UserError { code message } } }"""
DELETE = """mutation($id: ID!) { deleteWebhook(id: $id) { __typename } }"""
LIST = "{ webhooks { ...Parts } }" + PARTS
CANCEL = "mutation($id: ID!) { cancelGeneration(id: $id) { __typename } }"


class Receiver:
    """A receiver of webhooks: what came in, and what it answers, by path."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[tuple[dict[str, str], str]] = []
        self.answers: list[Response] = []

    def bodies(self) -> list[Json]:
        return [json.loads(body) for _, body in self.requests]

    async def receive(self, request: Request) -> Response:
        self.requests.append((dict(request.headers), (await request.body()).decode()))
        return self.answers.pop(0) if self.answers else Response(status_code=204)


@pytest.fixture
def receiver() -> Generator[Receiver]:
    received = Receiver("")

    async def endless(request: Request) -> Response:
        async def chunks() -> AsyncGenerator[bytes]:
            while not await request.is_disconnected():
                yield b"x" * 65536

        return StreamingResponse(chunks())

    async def stall(request: Request) -> Response:
        received.requests.append((dict(request.headers), (await request.body()).decode()))
        assert (await request.receive())["type"] == "http.disconnect"
        return Response()

    app = Starlette(
        routes=[
            Route("/in", received.receive, methods=["POST"]),
            Route("/endless", endless, methods=["POST"]),
            Route("/stall", stall, methods=["POST"]),
        ]
    )
    with running(app) as server:
        received.url = server.url
        yield received


@pytest.fixture
def settings(make_settings: Callable[..., Settings]) -> Settings:
    return make_settings(
        webhook_loopback=True, webhook_retry_delays_s=(0.05, 0.05), sweep_interval_s=0.05
    )


@asynccontextmanager
async def delivering(settings: Settings, **options: Any) -> AsyncGenerator[Kit, None]:
    """A worker's courier alone: jobs do not run, so that each test says what happens to them."""
    async with open_kit(settings) as kit:
        task = asyncio.create_task(Courier(kit, **options).run())
        try:
            yield kit
        finally:
            task.cancel()
            await asyncio.wait([task])


async def create(client: Client, url: str, *events: str) -> tuple[str, str]:
    """A webhook's id and its secret."""
    wanted: Json = {"url": url, **({"events": list(events)} if events else {})}
    made = (await client.ask(CREATE, input=wanted)).data["createWebhook"]
    assert made["__typename"] == "WebhookCreated", made
    return made["webhook"]["id"], made["secret"]


async def only(client: Client) -> Json:
    (webhook,) = (await client.ask(LIST)).data["webhooks"]
    return webhook


async def settled(client: Client, state: str, count: int = 1) -> list[Json]:
    """The log of the only webhook, once `count` messages are in this state."""

    async def found() -> list[Json] | None:
        nodes = (await only(client))["messages"]["nodes"]
        return nodes if sum(one["state"] == state for one in nodes) == count else None

    return await wait_until(found, within_s=60, what=f"{count} messages {state}") or []


async def cancelled_grid(client: Client, variants: int = 1, prompt: str = "a") -> Json:
    generation = await client.started(prompt=prompt, variantCount=variants)
    await client.ask(CANCEL, id=generation["id"])
    return generation


async def test_every_change_is_told_once_and_signed(
    make_settings: Callable[..., Settings], receiver: Receiver
) -> None:
    """A real worker paints; the official library verifies."""
    settings = make_settings(webhook_loopback=True, sweep_interval_s=0.05)
    events = ["JOB_PENDING", "JOB_RUNNING", "JOB_SUCCESS", "GENERATION_FINISHED"]
    async with running_api(settings) as api, running_worker(settings):
        ann, bob = api.client("ann"), api.client("bob")
        _, secret = await create(ann, f"{receiver.url}/in", *events)
        await create(bob, f"{receiver.url}/in", *events)
        generation = await ann.started(prompt="a pond", size="SQUARE_512", variantCount=1)
        await settled(ann, "DELIVERED", 4)

    verifier = Webhook(secret)
    for headers, body in receiver.requests:
        told = verifier.verify(body, headers)
        assert told == json.loads(body)
        with pytest.raises(WebhookVerificationError):
            verifier.verify(body.replace("a", "b", 1), headers)
        assert headers["content-type"] == "application/json"
    assert len({headers["webhook-id"] for headers, _ in receiver.requests}) == 4
    ids = [job["id"] for job in generation["jobs"]]
    seen = {(one["type"], one["data"]["id"]) for one in receiver.bodies()}
    kinds = ("job.pending", "job.running", "job.success")
    assert seen == {(kind, one) for kind in kinds for one in ids} | {
        ("generation.finished", generation["id"])
    }
    (end,) = [one for one in receiver.bodies() if one["type"] == "generation.finished"]
    assert end["data"] == {"id": generation["id"], "succeeded": 1, "failed": 0, "cancelled": 0}
    first = next(
        one
        for one in receiver.bodies()
        if (one["type"], one["data"]["id"]) == ("job.success", ids[0])
    )
    assert first["timestamp"].endswith("Z")
    assert first["data"].pop("version") > 0
    assert first["data"] == {
        "id": ids[0],
        "generationId": generation["id"],
        "variant": 0,
        "state": "SUCCESS",
        "errorCode": None,
        "retryCount": 0,
    }


async def test_a_change_that_is_rolled_back_is_not_told(
    settings: Settings, receiver: Receiver
) -> None:
    async with running_api(settings) as api, open_kit(settings) as kit:
        ann = api.client("ann")
        await create(ann, f"{receiver.url}/in", "JOB_RUNNING", "JOB_FAILED", "JOB_PENDING")
        (job,) = (await ann.started(prompt="a", variantCount=1))["jobs"]
        job_id = UUID(job["id"])

        async def change(attempt: int, *, commit: bool) -> None:
            async with kit.database.transaction() as connection:
                assert await claim(connection, job_id, attempt, worker="w", lease_s=60)
                if not commit:
                    await connection.rollback()

        await change(0, commit=False)
        await change(0, commit=True)
        async with kit.database.transaction() as connection:
            await retry_later(connection, job_id, 1, delay_s=0)
        await change(1, commit=True)
        async with kit.database.transaction() as connection:
            await fail(connection, job_id, 2, error_code=ErrorCode.TIMEOUT)
        told = [json.loads(one["payload"]) for one in (await only(ann))["messages"]["nodes"]]
    assert [one["type"] for one in reversed(told)] == [
        "job.pending",
        "job.running",
        "job.pending",
        "job.running",
        "job.failed",
    ]
    assert [one["data"]["version"] for one in told] == sorted(
        {one["data"]["version"] for one in told}, reverse=True
    )
    assert told[0]["data"]["errorCode"] == "TIMEOUT"
    assert told[0]["data"]["retryCount"] == 1


async def test_two_that_end_the_last_frames_at_once_tell_of_the_grid_once(
    settings: Settings, receiver: Receiver
) -> None:
    """Neither transaction sees the other's job as ended before it has committed."""
    async with running_api(settings) as api, open_kit(settings) as kit:
        ann = api.client("ann")
        await create(ann, f"{receiver.url}/in", "GENERATION_FINISHED")
        jobs = (await ann.started(prompt="a", variantCount=3))["jobs"]
        together = asyncio.Barrier(3)

        async def end(job_id: UUID) -> None:
            async with kit.database.transaction() as connection:
                assert await claim(connection, job_id, 0, worker="w", lease_s=60)
                await together.wait()
                await fail(connection, job_id, 1, error_code=ErrorCode.TIMEOUT)

        async with asyncio.TaskGroup() as tasks:
            for job in jobs:
                tasks.create_task(end(UUID(job["id"])))
        (message,) = (await only(ann))["messages"]["nodes"]
    assert json.loads(message["payload"])["data"]["failed"] == 3


async def test_it_is_tried_again_on_schedule_and_then_given_up(
    settings: Settings, receiver: Receiver
) -> None:
    receiver.answers = [
        Response(status_code=500),
        RedirectResponse(f"{receiver.url}/in"),
        Response(status_code=404),
        Response(status_code=503, headers={"retry-after": "1"}),
    ]
    async with running_api(settings) as api, delivering(settings):
        ann = api.client("ann")
        webhook_id, secret = await create(ann, f"{receiver.url}/in", "JOB_CANCELLED")
        await cancelled_grid(ann)
        (message,) = await settled(ann, "FAILED")
        assert [one["status"] for one in message["tries"]] == [500, 307, 404]
        assert message["tries"][1]["error"] == "answered 307; redirects are not followed"
        assert message["endedAt"] is not None
        assert (await only(ann))["failingSince"] is not None
        # Its owner mends it and asks for what was missed: 503 once more, then it arrives.
        since = (await only(ann))["failingSince"]
        asked: Json = {"webhookId": webhook_id, "failedSince": "2020-01-01T00:00:00Z"}
        replayed = (await ann.ask(REPLAY, input=asked)).data["replayWebhook"]
        assert (since is not None, replayed["messageCount"]) == (True, 1)
        (again,) = await settled(ann, "DELIVERED")
        assert [one["status"] for one in again["tries"]] == [500, 307, 404, 503, 204]
        assert (await only(ann))["failingSince"] is None
        # Also what was delivered can be had again, by its id.
        asked = {"webhookId": webhook_id, "messageIds": [message["id"], webhook_id]}
        assert (await ann.ask(REPLAY, input=asked)).data["replayWebhook"]["messageCount"] == 1
        await wait_until(lambda: came(receiver, 6), within_s=60)
    ids = {headers["webhook-id"] for headers, _ in receiver.requests}
    assert ids == {f"msg_{UUID(message['id']).hex}"}
    assert len({body for _, body in receiver.requests}) == 1
    for headers, body in receiver.requests:
        Webhook(secret).verify(body, headers)
    # The receiver's own wish is longer than the schedule.
    times = [int(headers["webhook-timestamp"]) for headers, _ in receiver.requests]
    assert times[4] >= times[3] + 1
    assert MAX_RETRY_AFTER_S == 86_400


async def came(receiver: Receiver, count: int) -> bool:
    return len(receiver.requests) >= count


async def test_a_secret_is_changed_without_losing_anything(
    settings: Settings, receiver: Receiver
) -> None:
    async with running_api(settings) as api, delivering(settings) as kit:
        ann = api.client("ann")
        webhook_id, old = await create(ann, f"{receiver.url}/in", "JOB_CANCELLED")
        rotate: Json = {"webhookId": webhook_id, "rotateSecret": True}
        updated = (await ann.ask(UPDATE, input=rotate)).data["updateWebhook"]
        new = updated["secret"]
        assert updated["webhook"]["oldSecretUntil"] is not None
        assert new.startswith("whsec_")
        assert new != old
        await cancelled_grid(ann)
        await settled(ann, "DELIVERED")
        async with kit.database.transaction() as connection:
            await connection.execute(text("UPDATE webhooks SET old_secret_until = now()"))
        await cancelled_grid(ann, prompt="b")
        await settled(ann, "DELIVERED", 2)
        # The secret is nowhere to be read again.
        assert new not in json.dumps((await ann.ask(LIST)).body)
    (first, first_body), (second, second_body) = receiver.requests
    for secret in (old, new):
        Webhook(secret).verify(first_body, first)
    Webhook(new).verify(second_body, second)
    with pytest.raises(WebhookVerificationError):
        Webhook(old).verify(second_body, second)


def test_signatures_are_the_specification_s() -> None:
    secret = new_secret()
    headers = signed_headers("msg_1", 1_700_000_000, '{"a":1}', [secret])
    official = Webhook(secret).sign("msg_1", datetime.fromtimestamp(1_700_000_000, UTC), '{"a":1}')
    assert headers["webhook-signature"] == official
    assert len(secret) == len("whsec_") + 44


async def test_one_that_fails_for_long_or_is_gone_is_disabled(
    settings: Settings, receiver: Receiver
) -> None:
    async with running_api(settings) as api, delivering(settings) as kit:
        ann = api.client("ann")
        webhook_id, _ = await create(ann, f"{receiver.url}/in", "JOB_CANCELLED")
        async with kit.database.transaction() as connection:
            await connection.execute(
                text("UPDATE webhooks SET failing_since = now() - interval '6 days'")
            )
        receiver.answers = [Response(status_code=500)]
        await cancelled_grid(ann)
        (message,) = await settled(ann, "FAILED")
        assert len(message["tries"]) == 1
        webhook = await only(ann)
        assert (webhook["enabled"], webhook["disabledBecause"]) == (False, "FAILING")
        # Nothing is noted for it, and nothing replayed, until its owner enables it.
        await cancelled_grid(ann, prompt="b")
        asked: Json = {"webhookId": webhook_id, "messageIds": [message["id"]]}
        assert (await ann.ask(REPLAY, input=asked)).data["replayWebhook"]["code"] == "INVALID_INPUT"
        assert len((await only(ann))["messages"]["nodes"]) == 1
        enable: Json = {"webhookId": webhook_id, "enabled": True}
        enabled = (await ann.ask(UPDATE, input=enable)).data["updateWebhook"]["webhook"]
        assert (enabled["disabledBecause"], enabled["failingSince"]) == (None, None)

        receiver.answers = [Response(status_code=410)]
        await cancelled_grid(ann, prompt="c")
        await settled(ann, "FAILED", 2)
        webhook = await only(ann)
        assert (webhook["enabled"], webhook["disabledBecause"]) == (False, "GONE")
        assert len(receiver.requests) == 2


async def test_a_receiver_that_stalls_or_never_ends_holds_up_nobody(
    make_settings: Callable[..., Settings], receiver: Receiver
) -> None:
    settings = make_settings(
        webhook_loopback=True,
        webhook_retry_delays_s=(),
        webhook_timeout_s=2,
        sweep_interval_s=0.05,
        max_active_jobs=30,
        rate_limit_max_requests=30,
    )
    async with running_api(settings) as api, delivering(settings):
        ann, bob, eve = (api.client(name) for name in ("ann", "bob", "eve"))
        await create(ann, f"{receiver.url}/stall", "JOB_CANCELLED")
        await create(bob, f"{receiver.url}/in", "JOB_CANCELLED")
        await create(eve, f"{receiver.url}/endless", "JOB_CANCELLED")
        for number in range(2):
            await cancelled_grid(ann, 3, str(number))
        await wait_until(lambda: came(receiver, EACH), within_s=60)
        await cancelled_grid(bob)
        await settled(bob, "DELIVERED")
        await cancelled_grid(eve)
        (message,) = await settled(eve, "DELIVERED")
        assert message["tries"][0]["status"] == 200
        failed = await settled(ann, "FAILED", 6)
        assert {one["tries"][0]["error"] for one in failed} == {"did not answer within 2 s"}


async def test_what_a_dead_worker_had_in_hand_is_sent_by_the_next(
    settings: Settings, receiver: Receiver
) -> None:
    async with running_api(settings) as api:
        ann = api.client("ann")
        await create(ann, f"{receiver.url}/stall", "JOB_CANCELLED")
        async with delivering(settings) as kit:
            await cancelled_grid(ann)
            await wait_until(lambda: came(receiver, 1), within_s=60)
        async with open_kit(settings) as kit, kit.database.transaction() as connection:
            await connection.execute(text("UPDATE webhook_messages SET next_try_at = now()"))
            await connection.execute(
                text("UPDATE webhooks SET url = :url"), {"url": f"{receiver.url}/in"}
            )
        async with delivering(settings):
            (message,) = await settled(ann, "DELIVERED")
        assert [one["number"] for one in message["tries"]] == [2]


async def test_deliveries_are_counted(
    make_settings: Callable[..., Settings], receiver: Receiver
) -> None:
    settings = make_settings(
        webhook_loopback=True,
        webhook_retry_delays_s=(0.05,),
        webhook_concurrency=1,
        sweep_interval_s=0.05,
        metrics_port=free_port(),
    )

    async def oldest_waiting_s() -> float:
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            answer = await client.get(f"http://127.0.0.1:{settings.metrics_port}/metrics")
        return parse(answer.text).value("mintari_webhook_oldest_waiting_seconds")

    async with running_api(settings) as api:
        ann = api.client("ann")
        await create(ann, f"{receiver.url}/in", "JOB_CANCELLED")
        assert await oldest_waiting_s() == 0
        await cancelled_grid(ann, 2)
        async with open_kit(settings) as kit, kit.database.transaction() as connection:
            late = "UPDATE webhook_messages SET next_try_at = now() - interval '1 min'"
            await connection.execute(text(late))
        assert 60 <= await oldest_waiting_s() < 120
        receiver.answers = [Response(status_code=500)]
        async with delivering(settings) as kit:
            await settled(ann, "DELIVERED", 2)
            await counted(kit, failed=1, succeeded=2, delivered=2, given_up=0)
            assert await oldest_waiting_s() == 0
            # One is told that the address is gone, the other one is not sent any more.
            receiver.answers = [Response(status_code=410)]
            await cancelled_grid(ann, 2, prompt="b")
            await settled(ann, "FAILED", 2)
            await counted(kit, failed=2, succeeded=2, delivered=2, given_up=2)


async def counted(kit: Kit, *, failed: int, succeeded: int, delivered: int, given_up: int) -> None:
    """Numbers follow their commit."""

    def value(name: str, outcome: str) -> float | None:
        return kit.metrics.registry.get_sample_value(name, {"outcome": outcome})

    async def is_so() -> bool:
        tries, messages = "mintari_webhook_tries_total", "mintari_webhook_messages_total"
        return [
            value(tries, "FAILED"),
            value(tries, "SUCCEEDED"),
            value(messages, "DELIVERED"),
            value(messages, "GIVEN_UP"),
        ] == [failed, succeeded, delivered, given_up]

    await wait_until(is_so, within_s=30, what="the numbers")


PRIVATE = [
    "10.1.2.3",
    "169.254.169.254",
    "192.168.0.1",
    "127.0.0.1",
    "::1",
    "fd00::1",
    "::ffff:10.0.0.1",
    "64:ff9b::a00:1",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
]


async def test_an_address_that_turns_private_is_not_called(
    make_settings: Callable[..., Settings], receiver: Receiver
) -> None:
    """DNS rebinding: the name was public when the webhook was made."""
    settings = make_settings(
        webhook_retry_delays_s=(0.01,) * (len(PRIVATE) - 1), sweep_interval_s=0.05
    )
    answers = [["93.184.216.34", address] for address in PRIVATE]
    asked: list[str] = []

    async def rebinding(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return answers.pop(0)

    async with running_api(settings) as api, delivering(settings, lookup=rebinding) as kit:
        ann = api.client("ann")
        async with kit.database.transaction() as connection:
            await connection.execute(
                text(
                    "INSERT INTO webhooks (id, user_id, url, events, secret) VALUES"
                    " (gen_random_uuid(), 'ann', :url, '{job.cancelled}', :secret)"
                ),
                {"url": "https://rebinding.example.com/in", "secret": new_secret()},
            )
        await cancelled_grid(ann)
        (message,) = await settled(ann, "FAILED")
    assert {one["error"] for one in message["tries"]} == {"the address is not public"}
    assert len(message["tries"]) == len(asked) == len(PRIVATE)
    assert receiver.requests == []


REFUSED = {
    "http://example.com/in": "https",
    "ftp://example.com/in": "https",
    "https://": "https://example.com/path",
    "https://user:pw@example.com/in": "credentials",
    "https://example.com:99999/in": "https://example.com/path",
    "https://127.0.0.1/in": "public",
    "https://localhost/in": "public",
    "https://[::1]/in": "public",
    "https://2130706433/in": "public",
    "https://nowhere.invalid/in": "not found",
    "https://exämple.com/": "ASCII",
    "https://example.com/" + "x" * 2048: "2048",
}


async def test_refusals_say_what_is_wrong(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(auth_allow_anonymous=True, webhooks_per_user=2)
    async with running_api(settings) as api:
        ann = api.client("ann")
        for url, says in REFUSED.items():
            refused = (await ann.ask(CREATE, input={"url": url})).data["createWebhook"]
            assert (refused["__typename"], refused["field"]) == ("InvalidInput", "url"), url
            assert says in refused["message"], url
        none: Json = {"url": "https://93.184.216.34/in", "events": []}
        assert (await ann.ask(CREATE, input=none)).data["createWebhook"]["field"] == "events"
        assert (await ann.ask(LIST)).data["webhooks"] == []

        # An address needs no look-up outside; the count is exact under concurrency.
        wanted: Json = {"url": "https://93.184.216.34/in"}
        made = await asyncio.gather(*(ann.ask(CREATE, input=wanted) for _ in range(5)))
        names = sorted(one.data["createWebhook"]["__typename"] for one in made)
        assert names == ["WebhookCreated"] * 2 + ["WebhookRefused"] * 3
        first, second = (await ann.ask(LIST)).data["webhooks"]
        ends = ["JOB_SUCCESS", "JOB_FAILED", "JOB_CANCELLED", "GENERATION_FINISHED"]
        assert first["events"] == ends

        claims = {"sub": "nobody", "is_anonymous": True, "exp": time.time() + 600}
        anonymous = api.with_token(jwt.encode(claims, SECRET))
        refused = (await anonymous.ask(CREATE, input=wanted)).data["createWebhook"]
        assert refused["code"] == "WEBHOOK_REFUSED"

        both: Json = {"messageIds": [], "failedSince": "2020-01-01T00:00:00Z"}
        for asked in ({}, both):
            replay: Json = {"webhookId": first["id"], **asked}
            answer = (await ann.ask(REPLAY, input=replay)).data["replayWebhook"]
            assert answer["code"] == "INVALID_INPUT"
        disable: Json = {"webhookId": second["id"], "enabled": False}
        updated = (await ann.ask(UPDATE, input=disable)).data["updateWebhook"]["webhook"]
        assert updated["disabledBecause"] == "OWNER"
        deleted = await ann.ask(DELETE, id=first["id"])
        assert deleted.data["deleteWebhook"]["__typename"] == "WebhookDeleted"
        again = await ann.ask(DELETE, id=first["id"])
        assert again.data["deleteWebhook"]["__typename"] == "WebhookNotFound"


async def test_the_log_is_kept_for_a_while(settings: Settings, receiver: Receiver) -> None:
    async with running_api(settings) as api, delivering(settings) as kit:
        ann = api.client("ann")
        await create(ann, f"{receiver.url}/in", "JOB_CANCELLED")
        await cancelled_grid(ann, 2)
        messages = await settled(ann, "DELIVERED", 2)
        async with kit.database.transaction() as connection:
            await connection.execute(
                text(
                    "UPDATE webhook_messages SET ended_at = now() - interval '2 h' WHERE id = :id"
                ),
                {"id": UUID(messages[0]["id"])},
            )
            await forget_old_messages(connection, age_s=3600)
        assert (await only(ann))["messages"]["nodes"] == [messages[1]]
