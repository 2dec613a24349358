"""The operator's view: for operators alone; pauses, drains and retries that lose nothing."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any
from uuid import UUID

import jwt
import pytest
from sqlalchemy import text

from core.auth import SecretKey, TokenVerifier, issue_token
from core.vocabulary import ErrorCode
from db.lifecycle import claim, claim_overdue, fail
from mintari.service import open_kit
from tests.conftest import SECRET, running_api, running_worker
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from core.settings import Settings
    from jobs.kit import Kit
    from tests.client import Client, Json
    from tests.conftest import Api

VIEW = """{ operator {
  queue { provider state jobs } pauses { provider pausedBy }
  workers { name slots running draining }
  jobs { nodes { id userId state errorCode } } } }"""
JOBS = """query($filter: JobOverviewFilter) { operator {
  jobs(first: 100, filter: $filter) { nodes { id } } } }"""
COSTS = """query($since: DateTime, $userId: ID) { operator {
  costs(since: $since, userId: $userId) { day userId provider calls unknownCalls costUsd } } }"""
DONE = "{ __typename ... on OperatorActionDone { jobCount } ... on InvalidInput { field message } }"
PAUSE = f"mutation($provider: String) {{ done: pauseQueue(provider: $provider) {DONE} }}"
RESUME = f"mutation($provider: String) {{ done: resumeQueue(provider: $provider) {DONE} }}"
DRAIN = f"""mutation($name: String!, $draining: Boolean!) {{
  done: drainWorker(name: $name, draining: $draining) {DONE} }}"""
RETRY = f"mutation($input: RetryFailedJobsInput!) {{ done: retryFailedJobs(input: $input) {DONE} }}"


def operator_of(api: Api) -> Client:
    return api.with_token(issue_token(SECRET, user_id="olga", ttl_s=600, role="operator"))


async def view(client: Client) -> Json:
    return (await client.ask(VIEW)).data["operator"]


async def act(client: Client, document: str, **variables: object) -> Json:
    return (await client.ask(document, **variables)).data["done"]


async def rows(kit: Kit, statement: str, **values: object) -> list[Any]:
    async with kit.database.read() as connection:
        return list(await connection.execute(text(statement), values))


@pytest.fixture
async def kit(settings: Settings) -> AsyncGenerator[Kit, None]:
    async with open_kit(settings) as opened:
        yield opened


@pytest.mark.parametrize(
    ("path", "claims", "is_operator"),
    [
        ("role", {"role": "operator"}, True),
        ("role", {"role": ["painter", "operator"]}, True),
        ("role", {"role": "operators"}, False),
        ("role", {"role": {"operator": True}}, False),
        ("role", {"user_metadata": {"role": "operator"}}, False),
        ("role", {"role": "operator", "is_anonymous": True}, False),
        ("app_metadata.role", {"app_metadata": {"role": "operator"}}, True),
        ("app_metadata.role", {"app_metadata": "operator", "role": "operator"}, False),
    ],
)
async def test_the_role_is_where_the_setting_says(
    path: str, claims: Json, is_operator: bool
) -> None:
    verifier = TokenVerifier(SecretKey(SECRET), role_claim=path, allow_anonymous=True)
    token = jwt.encode({"sub": "olga", "exp": time.time() + 60, **claims}, SECRET)
    assert (await verifier.verify(token)).is_operator is is_operator
    issued = issue_token(SECRET, user_id="olga", ttl_s=60, role="operator", role_claim=path)
    assert (await verifier.verify(issued)).is_operator


async def test_for_everybody_else_it_is_not_there(api: Api) -> None:
    ann, operator = api.client("ann"), operator_of(api)
    asked = "{ viewer { isOperator } operator { queue { jobs } } }"
    assert (await ann.ask(asked)).data == {"viewer": {"isOperator": False}, "operator": None}
    told = (await operator.ask(asked)).data
    assert told == {"viewer": {"isOperator": True}, "operator": {"queue": []}}
    retry: Json = {"failedSince": "2020-01-01T00:00:00Z"}
    for document, values in (
        (PAUSE, {}),
        (RESUME, {}),
        (DRAIN, {"name": "w", "draining": True}),
        (RETRY, {"input": retry}),
    ):
        refused = await ann.ask(document, **values)
        assert (refused.status, refused.error["extensions"]["code"]) == (403, "FORBIDDEN")
        assert (await api.with_token(None).ask(document, **values)).status == 401
    assert (await view(operator))["pauses"] == []


async def test_what_is_paused_waits(api: Api, kit: Kit) -> None:
    ann, operator = api.client("ann"), operator_of(api)
    generation = await ann.started(prompt="a", variantCount=2)
    first, second = (UUID(job["id"]) for job in generation["jobs"])

    async def claimed(job_id: UUID) -> bool:
        async with kit.database.transaction() as connection:
            return await claim(connection, job_id, 0, worker="w", lease_s=60) is not None

    async def overdue() -> int:
        async with kit.database.transaction() as connection:
            found = await claim_overdue(connection, overdue_s=0, limit=9, worker="w", lease_s=60)
            return len(found)

    for provider in (None, "local"):
        assert (await act(operator, PAUSE, provider=provider))["__typename"] == "OperatorActionDone"
        await act(operator, PAUSE, provider=provider)
        assert (await claimed(first), await overdue()) == (False, 0)
        seen = await view(operator)
        assert seen["pauses"] == [{"provider": provider, "pausedBy": "olga"}]
        assert seen["queue"] == [{"provider": "local", "state": "PENDING", "jobs": 2}]
        assert (await act(operator, RESUME, provider=provider))["jobCount"] is None
    unknown = await act(operator, PAUSE, provider="nobody")
    assert unknown == {
        "__typename": "InvalidInput",
        "field": "provider",
        "message": "The provider must be one of: local.",
    }
    assert await claimed(first)
    assert await overdue() == 1
    states = {one["id"]: one["state"] for one in (await view(operator))["jobs"]["nodes"]}
    assert states == {str(first): "RUNNING", str(second): "RUNNING"}
    audited = await rows(kit, "SELECT action, category, user_id FROM audit_entries ORDER BY id")
    assert ("pause_queue", "*", "olga") in audited
    assert ("resume_queue", "local", "olga") in audited


async def test_a_drained_worker_takes_jobs_again_when_it_is_told(
    make_settings: Callable[..., Settings],
) -> None:
    settings = make_settings(worker_name="painter-1", worker_concurrency=2)
    async with running_api(settings) as api, running_worker(settings) as kit:
        ann, operator = api.client("ann"), operator_of(api)

        async def shown() -> Sequence[Json]:
            return (await view(operator))["workers"]

        (worker,) = await wait_until(shown, within_s=60, what="the worker on the roster")
        assert worker == {"name": "painter-1", "slots": 2, "running": 0, "draining": False}
        missing = await act(operator, DRAIN, name="painter-2", draining=True)
        assert missing["field"] == "name"

        async def noticed() -> bool:
            """Whether the worker said that it is there after the last audited action."""
            last = "(SELECT max(recorded_at) FROM audit_entries)"
            return bool(await rows(kit, f"SELECT name FROM workers WHERE seen_at > {last}"))

        await act(operator, DRAIN, name="painter-1", draining=True)
        await wait_until(noticed, within_s=60)
        (job,) = (await ann.started(prompt="a", size="SQUARE_512", variantCount=1))["jobs"]
        # Meanwhile its sweeper looks for jobs whose doorbell was not heard.
        await wait_until(noticed, within_s=60)
        assert (await ann.job(job["id"]))["state"] == "PENDING"
        assert (await shown())[0]["draining"] is True
        await act(operator, DRAIN, name="painter-1", draining=False)
        await wait_until(lambda: runs(ann, job["id"]), within_s=60)
        assert (await shown())[0]["draining"] is False
        cancel = "mutation($id: ID!) { cancelJob(id: $id) { __typename } }"
        await ann.ask(cancel, id=job["id"])
    async with open_kit(settings) as kit:
        assert await rows(kit, "SELECT name FROM workers") == []


async def runs(client: Client, job_id: str) -> bool:
    return (await client.job(job_id))["state"] == "RUNNING"


async def test_failed_jobs_are_made_again_for_their_users(api: Api, kit: Kit) -> None:
    ann, bob, operator = api.client("ann"), api.client("bob"), operator_of(api)
    generation = await ann.started(prompt="a hill", variantCount=3, seed=7)
    ids = [job["id"] for job in generation["jobs"]]
    (other,) = (await bob.started(prompt="b", variantCount=1))["jobs"]
    for job_id in (*ids, other["id"]):
        async with kit.database.transaction() as connection:
            assert await claim(connection, UUID(job_id), 0, worker="w", lease_s=60)
            await fail(connection, UUID(job_id), 1, error_code=ErrorCode.PROVIDER_UNAVAILABLE)
    failed = (await view(operator))["jobs"]["nodes"]
    assert {(one["userId"], one["errorCode"]) for one in failed} == {
        ("ann", "PROVIDER_UNAVAILABLE"),
        ("bob", "PROVIDER_UNAVAILABLE"),
    }
    wrong: Json = {}
    assert (await act(operator, RETRY, input=wrong))["field"] == "jobIds"

    by_id: Json = {"jobIds": [ids[1], "none"]}
    assert (await act(operator, RETRY, input=by_id))["jobCount"] == 1
    assert (await act(operator, RETRY, input=by_id))["jobCount"] == 0
    document = """{ jobs(filter: {states: [PENDING]}) {
      nodes { seed regeneratedFrom { id state } generation { prompt variantCount } } } }"""
    (again,) = (await ann.ask(document)).data["jobs"]["nodes"]
    assert again == {
        "seed": 8,
        "regeneratedFrom": {"id": ids[1], "state": "FAILED"},
        "generation": {"prompt": "a hill", "variantCount": 1},
    }
    since: Json = {"failedSince": "2020-01-01T00:00:00Z", "provider": "gemini"}
    assert (await act(operator, RETRY, input=since))["jobCount"] == 0
    since["provider"] = "local"
    assert (await act(operator, RETRY, input=since))["jobCount"] == 3
    assert len((await bob.ask(document)).data["jobs"]["nodes"]) == 1
    audited = await rows(
        kit,
        "SELECT subject_id::text FROM audit_entries WHERE action = 'retry_failed_job'"
        " AND user_id = 'olga' ORDER BY 1",
    )
    assert [one for (one,) in audited] == sorted([*ids, other["id"]])


async def test_what_is_stuck_is_found(api: Api, kit: Kit) -> None:
    ann, operator = api.client("ann"), operator_of(api)
    jobs = (await ann.started(prompt="a", variantCount=3))["jobs"]
    waiting, dead, fine = (job["id"] for job in jobs)

    async def change(job_id: str, columns: str) -> None:
        async with kit.database.transaction() as connection:
            await connection.execute(
                text(f"UPDATE jobs SET {columns} WHERE id = :id"), {"id": UUID(job_id)}
            )

    async def stuck() -> set[str]:
        answer = await operator.ask(JOBS, filter={"stuck": True})
        return {one["id"] for one in answer.data["operator"]["jobs"]["nodes"]}

    assert await stuck() == set()
    await change(waiting, "ready_at = now() - interval '2 min'")
    async with kit.database.transaction() as connection:
        for job_id in (dead, fine):
            assert await claim(connection, UUID(job_id), 0, worker="w", lease_s=60)
    await change(dead, "lease_expires_at = now() - interval '1 s'")
    assert await stuck() == {waiting, dead}
    # What an operator holds back is not stuck.
    await act(operator, PAUSE, provider="local")
    assert await stuck() == {dead}
    await change(fine, "started_at = now() - interval '1 h'")
    assert await stuck() == {dead, fine}
    wanted: Json = {"states": ["RUNNING"], "userId": "ann", "provider": "local"}
    found = (await operator.ask(JOBS, filter=wanted)).data["operator"]["jobs"]["nodes"]
    assert {one["id"] for one in found} == {dead, fine}
    nothing = (await operator.ask(JOBS, filter={"userId": "bob"})).data["operator"]["jobs"]
    assert nothing["nodes"] == []


async def test_costs_by_day_user_and_provider(api: Api, kit: Kit) -> None:
    operator = operator_of(api)
    calls = [
        ("ann", "gemini", "2026-03-01T23:59:59Z", 0.04),
        ("ann", "gemini", "2026-03-02T00:00:00Z", 0.04),
        ("ann", "gemini", "2026-03-02T12:00:00Z", 0.02),
        ("ann", "gemini", "2026-03-02T13:00:00Z", None),
        ("bob", "openai", "2026-03-02T14:00:00Z", 0.5),
        ("bob", "openai", "2026-02-01T00:00:00Z", 9.0),
    ]
    async with kit.database.transaction() as connection:
        for user_id, provider, at, cost_usd in calls:
            await connection.execute(
                text(
                    "INSERT INTO provider_calls (job_id, attempt, user_id, provider, model,"
                    " worker_name, started_at, cost_usd) VALUES (gen_random_uuid(), 1, :user_id,"
                    " :provider, 'm', 'w', CAST(CAST(:at AS text) AS timestamptz), :cost_usd)"
                ),
                {"user_id": user_id, "provider": provider, "at": at, "cost_usd": cost_usd},
            )

    async def costs(**wanted: str) -> list[Json]:
        return (await operator.ask(COSTS, **wanted)).data["operator"]["costs"]

    def row(day: str, user: str, provider: str, calls: int, unknown: int, usd: float) -> Json:
        return {
            "day": day,
            "userId": user,
            "provider": provider,
            "calls": calls,
            "unknownCalls": unknown,
            "costUsd": pytest.approx(usd),
        }

    hers = [
        row("2026-03-02", "ann", "gemini", 3, 1, 0.06),
        row("2026-03-01", "ann", "gemini", 1, 0, 0.04),
    ]
    found = await costs(since="2026-03-01T00:00:00Z")
    assert found == [row("2026-03-02", "bob", "openai", 1, 0, 0.5), *hers]
    assert await costs(since="2026-03-01T00:00:00Z", userId="ann") == hers
    assert await costs() == []
    no_zone = await operator.ask(COSTS, since="2026-03-01T00:00:00")
    assert json.dumps(no_zone.body).count("INVALID_INPUT") == 1
