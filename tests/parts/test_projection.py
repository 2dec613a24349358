"""Compiled selections give the same bytes as graphql-core, whatever is selected."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
import pytest
from graphql import parse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.auth import Viewer
from core.vocabulary import BlockStage, ErrorCode, FallOverReason, JobState, ProgressKind, Stage
from db.hot import read_jobs
from jobs.changes import change_of, encode
from jobs.feed import FollowedJob
from resolvers.context import Request
from resolvers.facts import Facts
from schema.context import Context
from schema.loaders import make_loaders
from transport.compiled.plans import Plans
from transport.endpoints import open_operations
from transport.execution import Execution, build_execution, core_schema
from transport.renderers import Executing, Projecting, Rendered

if TYPE_CHECKING:
    from db.records import JobRecord
    from tests.conftest import Api
    from transport.projection import Projection

FLAT = [
    *("id", "variant", "version", "state", "stage", "progress", "progressKind", "seed"),
    *("seedLocked", "provider", "model", "retryCount", "generationTimeMs", "createdAt"),
    *("startedAt", "finishedAt", "queuePosition", "promptHash", "assembledPrompt", "__typename"),
]
NESTED = {
    "preview": ["url", "__typename"],
    "image": ["thumbhash", "width", "height", "bytes", "contentType", "url", "thumbnailUrl"],
    "error": ["code", "message", "retryable", "blockStage", "__typename"],
    "fallOver": ["requestedProvider", "reason"],
    "eta": ["p50At", "p90At", "sampleSize"],
}
LEFT_TO_GRAPHQL = ["generation { id prompt }", "regeneratedFrom { id }", "regenerations { id }"]
DIRECTIVES = ["", "", "", " @include(if: $yes)", " @skip(if: $yes)", " @include(if: false)"]


@st.composite
def selections(draw: st.DrawFn, depth: int = 0) -> str:
    """Fields of a job in any order: aliased, repeated, nested, in fragments, with directives."""
    parts: list[str] = []
    for _ in range(draw(st.integers(1, 6))):
        kind = draw(st.sampled_from(["flat", "flat", "alias", "nested", "inline", "spread"]))
        directive = draw(st.sampled_from(DIRECTIVES))
        if kind == "flat":
            parts.append(draw(st.sampled_from(FLAT)) + directive)
        elif kind == "alias":
            parts.append(f"a_{draw(st.sampled_from(FLAT))}: " + draw(st.sampled_from(FLAT)))
            # The same alias for two fields is no valid document.
            name = parts.pop().partition(": ")[2]
            parts.append(f"a_{name}: {name}{directive}")
        elif kind == "nested":
            name = draw(st.sampled_from(list(NESTED)))
            inner = draw(st.lists(st.sampled_from(NESTED[name]), min_size=1, max_size=4))
            parts.append(f"{name}{directive} {{ {' '.join(inner)} }}")
        elif kind == "spread":
            parts.append(f"...Parts{directive}")
        elif depth < 2:
            on = draw(st.sampled_from(["... on Job", "..."]))
            parts.append(f"{on}{directive} {{ {draw(selections(depth=depth + 1))} }}")
    return " ".join(parts) or "id"


# Postgres has no text with a NUL, and is asked for the durations of this model.
TEXT = st.characters(codec="utf-8", exclude_characters="\x00")
moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@st.composite
def versions(draw: st.DrawFn, job: JobRecord) -> JobRecord:
    """The job at any point of its life."""
    state = draw(st.sampled_from(list(JobState)))
    keys = {"preview_key": draw(st.sampled_from([None, "previews/x/1-1.webp"]))}
    if state is JobState.SUCCESS:
        keys |= {"image_key": "images/x.webp", "thumbnail_key": "t.webp", "thumbhash": 'a"/+='}
        keys |= {"content_type": "image/webp"}
    return msgspec.structs.replace(
        job,
        **keys,
        state=state,
        stage=draw(st.none() | st.sampled_from(list(Stage))),
        progress=draw(st.integers(0, 100)),
        progress_kind=draw(st.sampled_from(list(ProgressKind))),
        version=draw(st.integers(0, 2**31 - 1)),
        seed=draw(st.integers(0, 2**31 - 1)),
        model=draw(st.text(TEXT, max_size=8)),
        width_px=1 if state is JobState.SUCCESS else None,
        height_px=2 if state is JobState.SUCCESS else None,
        size_bytes=3 if state is JobState.SUCCESS else None,
        generation_time_ms=draw(st.none() | st.integers(0, 10**6)),
        requested_provider=draw(st.none() | st.just("gemini")),
        fall_over_reason=draw(st.none() | st.sampled_from(list(FallOverReason))),
        error_code=draw(st.sampled_from(list(ErrorCode))) if state is JobState.FAILED else None,
        block_stage=draw(st.none() | st.sampled_from(list(BlockStage))),
        started_at=draw(st.none() | moments),
        finished_at=draw(st.none() | moments),
    )


@st.composite
def lives(draw: st.DrawFn, job: JobRecord) -> list[JobRecord]:
    """Versions of the job one after the other; most only move what moves while it is painted."""
    life = [msgspec.structs.replace(draw(versions(job)), version=draw(st.integers(0, 1000)))]
    for _ in range(draw(st.integers(0, 4))):
        last = life[-1]
        kind = draw(st.sampled_from(["moves", "moves", "changes"]))
        now = draw(versions(job)) if kind == "changes" else last
        life.append(
            msgspec.structs.replace(
                now,
                version=last.version + draw(st.integers(1, 100_000)),
                progress=draw(st.integers(0, 100)),
                stage=draw(st.none() | st.sampled_from(list(Stage))),
                preview_key=draw(st.sampled_from([None, "previews/x/1-1.webp", "previews/%b"])),
            )
        )
    return life


def as_rendered(job: JobRecord) -> Rendered:
    rendered = Rendered()
    rendered.job = FollowedJob(job.id)
    rendered.job.learn(job)
    return rendered


class Lab:
    """Both ways to render, over the parts of a running API."""

    def __init__(self, api: Api) -> None:
        self.app = api.service
        self.schema = open_operations(api.service.settings, api.service.tracing).schema
        now = datetime.now(UTC) + timedelta(hours=1)
        viewer = Viewer(user_id="ann", issued_at_s=0, expires_at_s=now.timestamp())
        self.request = Request(viewer=viewer)

    def execution(self, document: str, variables: dict[str, Any]) -> Execution:
        context = Context(self.app, self.request, make_loaders(self.app, self.request))
        built = build_execution(self.schema, parse(document), variables, None, context)
        assert isinstance(built, Execution), built
        return built

    def projection(self, document: str, variables: dict[str, Any]) -> Projection | None:
        followed = Plans(self.schema).follow(document, parse(document), None, variables)
        return followed and followed.projection

    async def both(
        self, document: str, yes: bool, life: list[JobRecord]
    ) -> list[tuple[bytes, bytes]]:
        """What both ways make of each version in a job's life, the compiled one first."""
        job, *later = life
        variables = {"ids": [str(job.id)], "yes": yes}
        execution = self.execution(document, variables)
        projection = self.projection(document, variables)
        assert projection is not None
        facts = Facts(lambda: make_loaders(self.app, self.request), self.app.estimates)
        compiled = Projecting(projection, facts)
        executed, rendered = Executing(execution, None), as_rendered(job)
        pairs: list[tuple[bytes, bytes]] = []
        for version in [None, *later]:
            if version is not None:
                rendered.job.hear(encode(change_of(version)))
            newest = rendered.job.newest
            assert newest is not None
            soon = await compiled.soon(rendered, newest)
            # What was read once is known: the next version costs no read.
            assert compiled.now(rendered, newest) == soon
            pairs.append((soon, await executed.soon(rendered, newest)))
        return pairs


@pytest.fixture
async def job(api: Api) -> JobRecord:
    started = await api.client("ann").started(prompt="a lake", variantCount=1)
    job_id = UUID(started["jobs"][0]["id"])
    return (await read_jobs(api.service.driver, [job_id]))[job_id]


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
async def test_both_ways_give_the_same_bytes(api: Api, job: JobRecord, data: st.DataObject) -> None:
    lab = Lab(api)
    root, parts = data.draw(selections()), data.draw(selections(depth=2))
    parts = parts.replace("...Parts", "version")
    alias = data.draw(st.sampled_from(["", "news: ", "__proto: "]))
    document = (
        f"subscription($ids: [ID!]!, $yes: Boolean!) {{ {alias}jobProgress(jobIds: $ids)"
        f" {{ id {root} ...Parts }} }} fragment Parts on Job {{ {parts} progress }}"
    )
    life = data.draw(lives(job))
    async with asyncio.timeout(20):
        pairs = await lab.both(document, data.draw(st.booleans()), life)
    assert [compiled for compiled, _ in pairs] == [expected for _, expected in pairs]


@pytest.mark.parametrize("selected", LEFT_TO_GRAPHQL)
async def test_what_is_not_flat_is_left_to_graphql_core(
    api: Api, job: JobRecord, selected: str
) -> None:
    lab = Lab(api)
    document = f"subscription($ids: [ID!]!) {{ jobProgress(jobIds: $ids) {{ id {selected} }} }}"
    variables = {"ids": [str(job.id)]}
    execution = lab.execution(document, variables)
    assert lab.projection(document, variables) is None
    rendered = as_rendered(job)
    assert rendered.job.newest is not None
    payload = await Executing(execution, None).soon(rendered, rendered.job.newest)
    assert msgspec.json.decode(payload)["data"]["jobProgress"]["id"] == str(job.id)


async def test_every_flat_field_is_compiled(api: Api) -> None:
    lab = Lab(api)
    kind: Any = core_schema(lab.schema).type_map["Job"]
    left = {selected.split()[0] for selected in LEFT_TO_GRAPHQL}
    assert set(kind.fields) == {*FLAT, *NESTED, *left} - {"__typename"}


ARGUMENTS: list[tuple[str, str, dict[str, Any]]] = [
    ("($ids: [ID!]!)", "$ids", {"ids": ["JOB"]}),
    ("($ids: [ID!]!)", "$ids", {"ids": ["JOB", "JOB"], "other": 1}),
    # One is taken for a list of one.
    ("($ids: [ID!]!)", "$ids", {"ids": "JOB"}),
    ('($ids: [ID!]! = ["JOB"])', "$ids", {}),
    ("($id: ID!)", "[$id]", {"id": "JOB"}),
    ("", '["JOB"]', {}),
    ("", '"JOB"', {}),
]


@pytest.mark.parametrize(("variables", "argument", "given"), ARGUMENTS)
async def test_jobs_are_named_in_every_way_that_graphql_has(
    api: Api, job: JobRecord, variables: str, argument: str, given: dict[str, Any]
) -> None:
    document = f"subscription{variables} {{ jobProgress(jobIds: {argument}) {{ id progress }} }}"
    document = document.replace("JOB", str(job.id))
    values = msgspec.json.decode(msgspec.json.encode(given).replace(b"JOB", str(job.id).encode()))
    # What was compiled the first time is there the second time.
    for _ in range(2):
        async with (
            asyncio.timeout(20),
            api.client("ann").socket() as socket,
            aclosing(socket.subscribe(document, **values)) as results,
        ):
            assert (await anext(results))["data"]["jobProgress"]["id"] == str(job.id)


NAMING_NONE: list[tuple[Any, str]] = [
    (None, "of non-null type"),
    ([None], "of non-null type"),
    ([{}], "ID cannot represent value"),
    ([], "Follow 1 to 100 jobs at once."),
    (["x"], "There is no such job."),
    ([str(UUID(int=1))], f"There is no job {UUID(int=1)}."),
]


@pytest.mark.parametrize(("ids", "said"), NAMING_NONE)
async def test_ids_that_name_no_job_are_refused(api: Api, ids: Any, said: str) -> None:
    document = "subscription($ids: [ID!]!) { jobProgress(jobIds: $ids) { id } }"
    async with api.client("ann").socket() as socket:
        for _ in range(2):
            (told,) = [result async for result in socket.subscribe(document, ids=ids)]
            assert said in told["errors"][0]["message"]
