"""Progress that followers saw through Redis, ahead of Postgres, does not go back at any end."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import text

from core.keys import attempt_keys
from core.version import next_step
from core.vocabulary import JobState
from db.lifecycle import claim, find_dead, reap
from jobs.changes import change_of

if TYPE_CHECKING:
    from tests.client import Json
    from tests.conftest import Api

SHOWN = 60
CANCEL_JOB = """
mutation($id: ID!) { cancelJob(id: $id) { ... on JobCancelled { job { state progress } } } }
"""
CANCEL_GENERATION = """
mutation($id: ID!) {
  cancelGeneration(id: $id) { ... on GenerationCancelled { generation { jobs { progress } } } }
}
"""


@pytest.fixture
async def generation(api: Api) -> Json:
    """One job that runs and has shown progress which no heartbeat has written."""
    generation = await api.client("ann").started(prompt="a", variantCount=1)
    job_id = UUID(generation["jobs"][0]["id"])
    async with api.service.database.transaction() as connection:
        work = await claim(connection, job_id, 0, worker="w", lease_s=0)
    assert work is not None
    job = work.job
    shown = msgspec.structs.replace(change_of(job), version=next_step(job.version), progress=SHOWN)
    assert await api.service.publisher.publish([shown])
    return generation


async def test_a_dead_workers_job_keeps_it(api: Api, generation: Json) -> None:
    service = api.service
    async with service.database.transaction() as connection:
        dead = await find_dead(connection)
        shown = await service.publisher.shown_progress(dead)
        (job,) = await reap(connection, max_crashes=3, shown=shown)
    assert str(job.id) == generation["jobs"][0]["id"]
    assert (job.state, job.progress) == (JobState.PENDING, SHOWN)


async def test_a_cancelled_job_keeps_it(api: Api, generation: Json) -> None:
    ann = api.client("ann")
    await ann.ask(CANCEL_JOB, id=generation["jobs"][0]["id"])
    job = await ann.job(generation["jobs"][0]["id"])
    assert (job["state"], job["progress"]) == ("CANCELLED", SHOWN)


async def test_a_cancelled_generation_keeps_it(api: Api, generation: Json) -> None:
    ann = api.client("ann")
    await ann.ask(CANCEL_GENERATION, id=generation["id"])
    job = await ann.job(generation["jobs"][0]["id"])
    assert (job["state"], job["progress"]) == ("CANCELLED", SHOWN)


async def test_what_its_attempts_stored_is_doomed(api: Api, generation: Json) -> None:
    job_id = generation["jobs"][0]["id"]
    await api.client("ann").ask(CANCEL_JOB, id=job_id)
    async with api.service.database.read() as connection:
        doomed = await connection.execute(text("SELECT object_key FROM doomed_objects"))
        assert set(doomed.scalars()) == set(attempt_keys(UUID(job_id), 1))
