"""Requests that go together: each gets its own answer, and nobody waits for another's lock."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from core.auth import Viewer
from core.errors import IdempotencyConflict, RateLimited
from core.ids import new_id, parse_id
from core.version import STEPS_PER_EPOCH
from core.vocabulary import ImageSize, ProgressKind
from db.admission import Answer, Asked, lock_user, read_usage
from db.admission_queue import MOST_TOGETHER, AdmissionQueue
from db.driver import open_driver
from db.engine import is_database_down, open_database
from db.generations import NewJob
from db.records import NewGeneration
from resolvers.context import Request
from resolvers.generations import StartRequest, start_generation
from tests.conftest import running_api
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from uuid import UUID

    from core.settings import Settings
    from db.engine import Connection
    from resolvers.admission import Admitted
    from resolvers.context import App
    from tests.conftest import Api


def asked(user_id: str, prompt: str = "a hill", *, upload_id: UUID | None = None) -> Asked:
    """A request for one frame, within wide limits."""
    return Asked(
        user_id=user_id,
        address=None,
        max_requests=99,
        max_requests_of_address=None,
        max_active_jobs=99,
        window_s=60,
        key=None,
        key_ttl_s=60,
        request_hash=None,
        prompt_hash=prompt,
        action="start_generation",
        category=None,
        remote_address=None,
        prompt=None,
        policy_version="1",
        generation=generation(user_id, prompt, upload_id),
        jobs=[NewJob(id=new_id(), variant=0, seed=1, progress_kind=ProgressKind.MEASURED)],
    )


def generation(user_id: str, prompt: str, upload_id: UUID | None) -> NewGeneration:
    return NewGeneration(
        id=new_id(),
        user_id=user_id,
        prompt=prompt,
        prompt_delta=None,
        style="ghibli",
        style_version=1,
        size=ImageSize.SQUARE_512,
        upload_id=upload_id,
        had_upload=upload_id is not None,
        variant_count=1,
        seed=None,
        seed_locked=False,
        provider="local",
        model="painter-1",
        assembled_prompt=prompt,
        negative_prompt="",
        prompt_hash=prompt,
        fall_over=False,
    )


def starting(
    app: App, user_id: str, prompt: str, *, anonymous: bool = False, key: str | None = None
) -> Coroutine[Any, Any, Admitted]:
    """The resolver, without HTTP: nothing parts what comes at once."""
    viewer = Viewer(user_id=user_id, expires_at_s=0, is_anonymous=anonymous)
    wanted = StartRequest(prompt=prompt, variant_count=1, idempotency_key=key)
    return start_generation(app, Request(viewer, "192.0.2.1"), wanted)


async def outcomes(*starts: Coroutine[Any, Any, Admitted]) -> list[Any]:
    return await asyncio.gather(*starts, return_exceptions=True)


async def test_many_users_at_once_each_get_their_own(api: Api) -> None:
    users = [f"user {number}" for number in range(MOST_TOGETHER * 2 + 10)]

    admitted = await asyncio.gather(
        *(starting(api.service, user, f"the hill of {user}") for user in users)
    )

    assert [one.generation.user_id for one in admitted] == users
    assert [one.generation.prompt for one in admitted] == [f"the hill of {user}" for user in users]
    for one in admitted:
        (job,) = one.jobs
        assert (job.generation_id, job.user_id) == (one.generation.id, one.generation.user_id)
        assert (job.state, job.stage, job.version) == ("PENDING", "QUEUED", STEPS_PER_EPOCH)
        assert job.created_at.utcoffset() == one.generation.created_at.utcoffset()
    async with api.service.database.read() as connection:
        stored = await connection.execute(
            text("SELECT generations.id, xmin::text AS transaction FROM generations")
        )
        transactions = {row.id: row.transaction for row in stored}
    assert transactions.keys() == {one.generation.id for one in admitted}
    assert len(set(transactions.values())) < len(users) / 10


async def test_limits_hold_over_processes_that_serve_the_same_users(
    make_settings: Callable[..., Settings],
) -> None:
    limits = {"anonymous_max_requests": 4, "anonymous_max_requests_per_address": 99}
    async with (
        running_api(make_settings(**limits)) as first,
        running_api(make_settings(**limits)) as second,
    ):
        results = await outcomes(
            *(
                starting(api.service, user, f"{number}", anonymous=user == "cat")
                for number in range(20)
                for api in (first, second)
                for user in ("ann", "bob", "cat", "ann")
            )
        )
        admitted = [result for result in results if not isinstance(result, RateLimited)]
        new = [one.generation.user_id for one in admitted if not one.deduplicated]
        assert Counter(new) == {"ann": 3, "bob": 3, "cat": 3}
        async with first.service.database.read() as connection:
            for user, most in (("ann", 10), ("bob", 10), ("cat", 4)):
                assert await used(connection, user) == (most, 3), user


async def test_users_of_one_address_are_counted_together(
    make_settings: Callable[..., Settings],
) -> None:
    async with running_api(make_settings(anonymous_max_requests_per_address=7)) as api:
        results = await outcomes(
            *(starting(api.service, f"a{number}", "x", anonymous=True) for number in range(30))
        )
    refused = [result for result in results if isinstance(result, RateLimited)]
    assert (len(results) - len(refused), {one.limit for one in refused}) == (7, {7})


async def test_one_key_at_once_is_one_answer_or_a_conflict(api: Api) -> None:
    results = await outcomes(
        *(starting(api.service, "ann", "same", key="k") for _ in range(5)),
        *(starting(api.service, "ann", "other", key="k") for _ in range(5)),
    )
    same, other = results[:5], results[5:]
    assert sorted(one.replayed for one in same) == [False, True, True, True, True]
    assert len({one.generation.id for one in same}) == 1
    assert all(isinstance(one, IdempotencyConflict) for one in other)


async def test_one_that_cannot_be_written_harms_no_other(api: Api) -> None:
    queue = api.service.admission_queue
    users = [f"user {number}" for number in range(9)]

    results = await asyncio.gather(
        # Its photo was deleted after it had been read.
        queue.admit(asked("ann", upload_id=new_id())),
        *(queue.admit(asked(user)) for user in users),
        return_exceptions=True,
    )

    failure, *answers = results
    assert isinstance(failure, IntegrityError)
    assert not is_database_down(failure)
    assert outcomes_of(answers) == ["ACCEPTED"] * len(users)
    async with api.service.database.read() as connection:
        assert [await used(connection, user) for user in users] == [(1, 1)] * len(users)
        assert await used(connection, "ann") == (0, 0)


async def test_what_is_no_unicode_fails_by_itself(api: Api) -> None:
    queue = api.service.admission_queue
    failure, answer = await asyncio.gather(
        queue.admit(asked("ann", "\ud800")), queue.admit(asked("bob")), return_exceptions=True
    )
    assert isinstance(failure, UnicodeEncodeError)
    assert outcomes_of([answer]) == ["ACCEPTED"]


async def test_who_is_locked_out_waits_alone(api: Api) -> None:
    """The lock is the one that the processes of the release before take."""
    queue, database = api.service.admission_queue, api.service.database
    async with asyncio.TaskGroup() as tasks:
        async with database.transaction() as connection:
            await lock_user(connection, "ann")
            anns = tasks.create_task(queue.admit(asked("ann")))
            answers = await asyncio.gather(*(queue.admit(asked("bob", it)) for it in "abc"))
            assert outcomes_of(answers) == ["ACCEPTED"] * 3
            await wait_until(lambda: somebody_waits(api), what="ann's wait")
            assert outcomes_of([await queue.admit(asked("cat"))]) == ["ACCEPTED"]
            assert not anns.done()
        assert outcomes_of([await anns]) == ["ACCEPTED"]


async def test_who_waits_for_a_row_waits_alone(api: Api, photo: bytes) -> None:
    upload_id = parse_id(await api.client("ann").upload(photo))
    queue, database = api.service.admission_queue, api.service.database
    async with asyncio.TaskGroup() as tasks:
        async with database.transaction() as connection:
            await connection.execute(text("DELETE FROM uploads"))
            anns = tasks.create_task(settled(queue.admit(asked("ann", upload_id=upload_id))))
            assert outcomes_of([await queue.admit(asked("bob"))]) == ["ACCEPTED"]
            await wait_until(lambda: somebody_waits(api), what="ann's wait")
            assert outcomes_of([await queue.admit(asked("cat"))]) == ["ACCEPTED"]
            assert not anns.done()
        assert isinstance(await anns, IntegrityError)


async def test_who_leaves_takes_nobody_along(api: Api) -> None:
    """Whatever the moment; and what is left of one that went alone is all of it, or nothing."""
    queue = api.service.admission_queue
    for turns in range(25):
        leaves = asyncio.create_task(queue.admit(asked(f"ann {turns}")))
        stays = asyncio.create_task(queue.admit(asked(f"bob {turns}")))
        await turn(turns)
        leaves.cancel()
        assert outcomes_of([await stays]) == ["ACCEPTED"]
        alone = asyncio.create_task(queue.admit(asked(f"cat {turns}")))
        await turn(turns)
        alone.cancel()
        await asyncio.wait([leaves, alone])
    assert outcomes_of([await queue.admit(asked("dan"))]) == ["ACCEPTED"]
    async with api.service.database.read() as connection:
        counts = await connection.execute(
            text("""
                SELECT (SELECT count(*) FROM generations), (SELECT count(*) FROM jobs),
                    (SELECT count(*) FROM rate_limit_hits), (SELECT count(*) FROM audit_entries)
            """)
        )
        assert len(set(counts.one())) == 1


async def test_it_outlives_lost_connections(api: Api) -> None:
    queue = api.service.admission_queue
    async with asyncio.TaskGroup() as tasks:
        async with api.service.database.transaction() as connection:
            await lock_user(connection, "ann")
            anns = tasks.create_task(settled(queue.admit(asked("ann"))))
            await wait_until(lambda: somebody_waits(api), what="ann's wait")
            ended = await connection.execute(
                text("""
                    SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity
                    WHERE datname = current_database() AND pid <> pg_backend_pid()
                """)
            )
            pids = [row.pid for row in ended]
            failure = await anns
            await wait_until(lambda: are_gone(connection, pids), what="the end of all others")
        assert isinstance(failure, Exception)
        assert is_database_down(failure)
    for user in ("ann", "bob", "cat"):
        assert outcomes_of([await queue.admit(asked(user))]) == ["ACCEPTED"]


async def test_without_postgres_all_are_told(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(database_url="postgresql://nobody@127.0.0.1:1/nothing")
    async with (
        open_database(settings) as database,
        open_driver(settings) as driver,
        asyncio.TaskGroup() as tasks,
    ):
        queue = AdmissionQueue(driver, database, timeout_s=10)
        running = tasks.create_task(queue.run())
        count = MOST_TOGETHER + 5
        for _ in range(2):
            told = await asyncio.gather(
                *(settled(queue.admit(asked("ann", f"{number}"))) for number in range(count))
            )
            assert all(isinstance(one, Exception) and is_database_down(one) for one in told)
        running.cancel()


async def test_behind_a_pooler_of_transactions(make_settings: Callable[..., Settings]) -> None:
    async with running_api(make_settings(database_statement_cache=0)) as api:
        results = await outcomes(
            *(starting(api.service, "ann", f"{number}") for number in range(5))
        )
    assert sum(not isinstance(one, RateLimited) for one in results) == 3


async def are_gone(connection: Connection, pids: Sequence[int]) -> bool:
    """Whether these processes of Postgres have ended, and so have hung up."""
    await connection.execute(text("SELECT pg_stat_clear_snapshot()"))
    found = await connection.execute(
        text("SELECT count(*) FROM pg_stat_activity WHERE pid = ANY(:pids)"), {"pids": pids}
    )
    return found.scalar_one() == 0


async def settled(answer: Coroutine[Any, Any, Answer]) -> Answer | Exception:
    try:
        return await answer
    except Exception as error:
        return error


def outcomes_of(answers: Sequence[object]) -> list[str]:
    return [one.outcome if isinstance(one, Answer) else type(one).__name__ for one in answers]


async def used(connection: Connection, user_id: str) -> tuple[int, int]:
    """Requests and active jobs."""
    usage = await read_usage(connection, user_id, window_s=60, limit=99)
    return usage.requests, usage.active_jobs


async def turn(times: int) -> None:
    """Let the loop turn."""
    for _ in range(times):
        await asyncio.sleep(0)


async def somebody_waits(api: Api) -> bool:
    """Whether a statement waits for a lock, and longer than those that go together may."""
    async with api.service.database.read() as connection:
        found = await connection.execute(
            text("""
                SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)
                WHERE NOT granted AND datname = current_database()
                  AND waitstart < clock_timestamp() - interval '0.3 s'
            """)
        )
        return found.scalar_one() > 0
