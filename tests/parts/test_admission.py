"""Limits, duplicates and idempotency keys: exact, also when everything comes at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from db.admission import read_usage
from tests.client import START
from tests.conftest import running_api
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.settings import Settings
    from tests.client import Answer, Client
    from tests.conftest import Api

KEYED = """
mutation($input: StartGenerationInput!) {
  startGeneration(input: $input) {
    __typename
    ... on GenerationStarted { deduplicated replayed generation { id } }
    ... on UserError { code message }
  }
}
"""


async def keyed(client: Client, **wanted: object) -> dict[str, object]:
    return (await client.ask(KEYED, input=wanted)).data["startGeneration"]


async def starts(client: Client, prompts: list[str]) -> list[Answer]:
    return await asyncio.gather(
        *(client.ask(START, input={"prompt": text, "variantCount": 1}) for text in prompts)
    )


async def test_forty_at_once_are_admitted_exactly(api: Api) -> None:
    ann = api.client("ann")

    answers = await starts(ann, [f"prompt {number}" for number in range(40)])

    accepted = [answer for answer in answers if answer.status == 200]
    refused = [answer for answer in answers if answer.status == 429]
    assert (len(accepted), len(refused)) == (3, 37)
    limits = sorted(answer.error["extensions"]["limit"] for answer in refused)
    assert limits == [3] * 7 + [10] * 30
    async with api.service.database.read() as connection:
        usage = await read_usage(connection, "ann", window_s=60, limit=100)
    assert (usage.requests, usage.active_jobs) == (10, 3)


async def test_forty_identical_at_once_are_one_generation(api: Api) -> None:
    ann = api.client("ann")

    answers = await starts(ann, ["the same"] * 40)

    results = [answer.data["startGeneration"] for answer in answers]
    assert len({result["generation"]["id"] for result in results}) == 1
    assert sum(not result["deduplicated"] for result in results) == 1
    async with api.service.database.read() as connection:
        usage = await read_usage(connection, "ann", window_s=60, limit=100)
    assert (usage.requests, usage.active_jobs) == (1, 1)


async def test_a_refusal_says_when_to_come_back(api: Api) -> None:
    ann = api.client("ann")
    await ann.started(prompt="a", variantCount=3)
    refused = await ann.ask(START, input={"prompt": "b", "variantCount": 1})
    assert refused.status == 429
    assert refused.body["data"] is None
    assert refused.error["extensions"] == {
        "code": "RATE_LIMITED",
        "limit": 3,
        "retryAfterSeconds": 5,
    }
    assert refused.headers["retry-after"] == "5"
    assert "3 are" in refused.error["message"]


async def test_the_window_slides(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(rate_limit_max_requests=2, rate_limit_window_ms=700, max_active_jobs=9)
    async with running_api(settings) as api:
        ann = api.client("ann")
        first = await starts(ann, ["a", "b", "c"])
        assert sorted(answer.status for answer in first) == [200, 200, 429]
        (refused,) = (answer for answer in first if answer.status == 429)
        assert refused.headers["retry-after"] == "1"

        async def admitted() -> bool:
            return (await starts(ann, ["d"]))[0].status == 200

        await wait_until(admitted, what="the end of the window")


async def test_identical_means_everything_that_makes_the_picture(
    make_settings: Callable[..., Settings],
) -> None:
    settings = make_settings(rate_limit_max_requests=99, max_active_jobs=99)
    async with running_api(settings) as api:
        ann = api.client("ann")
        base = {"prompt": "A Hill", "variantCount": 1, "seed": 5}
        first = await keyed(ann, **base)
        # Folding: case, width and spaces do not make another picture.
        again = await keyed(ann, **{**base, "prompt": "  a  hiLL "})
        assert again["deduplicated"] is True
        assert again["generation"] == first["generation"]
        for change in (
            {"prompt": "a hall"},
            {"style": "ink"},
            {"size": "SQUARE_512"},
            {"seed": 6},
            {"seed": None},
            {"variantCount": 2},
        ):
            other = await keyed(ann, **{**base, **change})
            assert other["deduplicated"] is False, change
        bob = await keyed(api.client("bob"), **base)
        assert bob["deduplicated"] is False


async def test_an_idempotency_key_replays_the_first_answer(api: Api) -> None:
    ann = api.client("ann")
    first = await keyed(ann, prompt="a", variantCount=1, idempotencyKey="k-1")
    again = await keyed(ann, prompt="a", variantCount=1, idempotencyKey="k-1")
    assert again == {**first, "replayed": True}

    conflict = await keyed(ann, prompt="b", variantCount=1, idempotencyKey="k-1")
    assert conflict["code"] == "IDEMPOTENCY_CONFLICT"

    # Keys are unique per user, never global.
    bob = await keyed(api.client("bob"), prompt="b", variantCount=1, idempotencyKey="k-1")
    assert bob["__typename"] == "GenerationStarted"
    async with api.service.database.read() as connection:
        usage = await read_usage(connection, "ann", window_s=60, limit=100)
    assert (usage.requests, usage.active_jobs) == (1, 1)


async def test_a_key_is_forgotten_in_time(make_settings: Callable[..., Settings]) -> None:
    async with running_api(make_settings(idempotency_ttl_s=1)) as api:
        ann = api.client("ann")
        first = await keyed(ann, prompt="a", variantCount=1, idempotencyKey="k")

        async def forgotten() -> bool:
            answer = await keyed(ann, prompt="b", variantCount=1, idempotencyKey="k")
            return answer["__typename"] == "GenerationStarted" and answer != first

        await wait_until(forgotten, what="the end of the key's life")


async def test_a_grid_is_admitted_whole_or_not_at_all(api: Api) -> None:
    ann = api.client("ann")
    await ann.started(prompt="a", variantCount=2)
    assert (await ann.ask(START, input={"prompt": "b", "variantCount": 2})).status == 429
    jobs = (await ann.ask("{ jobs { nodes { id } } }")).data["jobs"]["nodes"]
    assert len(jobs) == 2
    await ann.started(prompt="c", variantCount=1)
