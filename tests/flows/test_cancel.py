"""Cancelling: a waiting job ends at once, a running one within a second."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from db.ledger import read_calls
from tests.client import JOB
from tests.waiting import wait_until

if TYPE_CHECKING:
    from jobs.kit import Kit
    from tests.client import Client
    from tests.conftest import Api

CANCEL_JOB = (
    """
mutation($id: ID!) {
  cancelJob(id: $id) {
    __typename
    ... on JobCancelled { billed job { ...JobParts } }
    ... on UserError { code message }
  }
}
"""
    + JOB
)
CANCEL_GENERATION = """
mutation($id: ID!) {
  cancelGeneration(id: $id) {
    __typename
    ... on GenerationCancelled { billed cancelledJobs { id state } }
    ... on UserError { code message }
  }
}
"""


async def cancel(client: Client, job_id: str) -> dict[str, Any]:
    return (await client.ask(CANCEL_JOB, id=job_id)).data["cancelJob"]


async def test_cancel_a_waiting_job(api: Api) -> None:
    ann = api.client("ann")
    (job,) = (await ann.started(prompt="a lake", variantCount=1))["jobs"]

    result = await cancel(ann, job["id"])

    assert result["job"]["state"] == "CANCELLED"
    assert result["job"]["finishedAt"] is not None
    assert result["billed"] is False
    # Once more is no error, and changes nothing.
    assert (await cancel(ann, job["id"]))["job"] == result["job"]


async def test_cancel_a_running_job(api: Api, worker: Kit) -> None:
    ann = api.client("ann")
    (job,) = (await ann.started(prompt="a sea", size="SQUARE_1024", variantCount=1))["jobs"]
    seen: list[dict[str, Any]] = []
    async for update in ann.follow(job["id"]):
        # RUNNING alone may be read before the provider is called.
        if update["progress"] and not any(one["progress"] for one in seen):
            result = await cancel(ann, job["id"])
            assert result["job"]["state"] == "CANCELLED"
            assert result["billed"] is True
        seen.append(update)
    assert seen[-1]["state"] == "CANCELLED"
    assert seen[-1]["image"] is None

    # The worker stops: the ledger says that the call was cut off.
    async def outcome() -> str | None:
        async with worker.database.read() as connection:
            calls = await read_calls(connection, seen[-1]["id"])
        return calls[0].outcome if calls[0].ended_at else None

    assert await wait_until(outcome, what="the end of the call") == "CANCELLED"
    assert (await ann.job(job["id"]))["state"] == "CANCELLED"


async def test_cancel_a_whole_grid(api: Api) -> None:
    ann = api.client("ann")
    generation = await ann.started(prompt="a hill")

    answer = await ann.ask(CANCEL_GENERATION, id=generation["id"])

    cancelled = answer.data["cancelGeneration"]["cancelledJobs"]
    assert {job["state"] for job in cancelled} == {"CANCELLED"}
    assert {job["id"] for job in cancelled} == {job["id"] for job in generation["jobs"]}


async def test_a_cancelled_job_frees_its_place(api: Api) -> None:
    ann = api.client("ann")
    generation = await ann.started(prompt="a hill")
    full = await ann.ask('mutation { startGeneration(input: {prompt: "b"}) { __typename } }')
    assert full.error["extensions"]["code"] == "RATE_LIMITED"
    await cancel(ann, generation["jobs"][0]["id"])
    assert (await ann.start(prompt="b", variantCount=1))["__typename"] == "GenerationStarted"
