"""Compiled operations answer as graphql-core does, to the byte, whatever is asked for."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import msgspec
import pytest
from graphql import GraphQLError, get_argument_values, get_variable_values, parse
from graphql import build_schema as schema_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strawberry.types.arguments import convert_arguments

from core.auth import Viewer
from core.vocabulary import ErrorCode
from db.lifecycle import Finish, claim, fail, succeed
from resolvers.context import Request
from schema.build import build_schema
from tests.conftest import running_api
from tests.parts.test_projection import DIRECTIVES, selections
from transport.compiled.arguments import arguments_of
from transport.compiled.plans import Plans
from transport.compiled.variables import UnusualError, coercer_of
from transport.context import context_of
from transport.endpoints import open_operations
from transport.execution import core_schema
from transport.http import rendered
from transport.negotiation import JSON
from transport.parameters import Parameters

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from core.settings import Settings
    from tests.client import Client
    from tests.conftest import Api
    from transport.operations import Operations

GENERATION = [
    *("id", "prompt", "promptDelta", "assembledPrompt", "negativePrompt", "style", "size"),
    *("variantCount", "seed", "seedLocked", "provider", "promptHash", "createdAt", "__typename"),
    *("upload { id url thumbnailUrl thumbhash width height bytes contentType createdAt }",),
]
LINEAGE = ["regeneratedFrom", "regenerations"]
PAGE_INFO = "pageInfo { hasNextPage endCursor __typename }"
NOT_COMPILED = [
    "{ viewer { id } }",
    "{ styles { slug } }",
    "{ jobs { nodes { id } } viewer { id } }",
    'mutation { cancelJob(id: "x") { __typename } }',
    'mutation { a: cancelJob(id: "x") { __typename } b: cancelJob(id: "y") { __typename } }',
]


REGENERATE = """
mutation($id: ID!) {
  regenerate(input: {jobId: $id, promptDelta: "+ a \\"b\\" é"}) {
    ... on JobRegenerated { job { id } }
  }
}
"""
FINISH = Finish(
    image_key="images/x.webp",
    thumbnail_key="thumbnails/x.webp",
    thumbhash='a"/+=',
    content_type="image/webp",
    width_px=1,
    height_px=2,
    size_bytes=3,
    digest="d",
    seed=7,
    model="m",
    generation_time_ms=5,
)


async def asked_before(client: Client) -> list[tuple[str, dict[str, Any]]]:
    """One operation of each kind, asked for once: the next time it is compiled."""
    job = (await client.started(prompt="a lake", variantCount=1))["jobs"][0]["id"]
    asked: list[tuple[str, dict[str, Any]]] = [
        (READ, {"id": job}),
        (PAGE, {"first": 1}),
        (START, {"input": {"prompt": "a hill", "variantCount": 1}}),
        (AGAIN, {"input": {"jobId": job}}),
    ]
    for document, variables in asked:
        await client.ask(document, **variables)
    return asked


@st.composite
def jobs(draw: st.DrawFn, depth: int = 0) -> str:
    """Fields of a job, with grids and relatives as deep as two levels."""
    parts = [draw(selections()), f"...Parts{draw(st.sampled_from(DIRECTIVES))}"]
    if depth < 2 and draw(st.booleans()):
        name = draw(st.sampled_from(LINEAGE))
        parts.append(f"{name} {{ id {draw(jobs(depth=depth + 1))} }}")
    if depth < 2 and draw(st.booleans()):
        parts.append(f"generation {{ {draw(generations(depth=depth + 1))} }}")
    return " ".join(draw(st.permutations(parts)))


@st.composite
def generations(draw: st.DrawFn, depth: int = 0) -> str:
    """Fields of a grid, with its frames."""
    parts = draw(st.lists(st.sampled_from(GENERATION), min_size=1, max_size=5))
    if draw(st.booleans()):
        parts.append(f"g: id{draw(st.sampled_from(DIRECTIVES))}")
    if depth < 2:
        parts.append(f"jobs {{ {draw(jobs(depth=depth + 1))} }}")
    return " ".join(draw(st.permutations(parts)))


@st.composite
def queries(draw: st.DrawFn) -> str:
    """Documents with one to three root fields, all of them compiled."""
    parts: list[str] = []
    for number in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(["job", "jobs", "generation", "generations"]))
        alias = f"a{number}: "
        directive = draw(st.sampled_from(DIRECTIVES))
        one = draw(jobs() if kind in ("job", "jobs") else generations())
        if kind in ("job", "generation"):
            given = draw(st.sampled_from([f"${kind}", f"${kind}", '"unknown"', "$none"]))
            parts.append(f"{alias}{kind}(id: {given}){directive} {{ {one} }}")
            continue
        first = draw(
            st.sampled_from(["", "(first: $first)", "(first: 2)", "(first: 1, after: $at)"])
        )
        edges = f"edges {{ cursor node {{ {one} }} __typename }}"
        lists = draw(st.permutations([f"nodes {{ {one} }}", edges, PAGE_INFO, "__typename"]))
        parts.append(f"{alias}{kind}{first}{directive} {{ {' '.join(lists[:3])} }}")
    # All variables and fragments are used, whatever else is.
    parts.append("v: jobs(first: $first, after: $at) { nodes { id ...Parts } }")
    parts.append(
        "w: job(id: $job) { id } x: job(id: $none) { id } y: generation(id: $generation) { id }"
    )
    parts.append("z: __typename @include(if: $yes)")
    fragment = draw(selections(depth=2)).replace("...Parts", "version")
    variables = (
        "$job: ID!, $generation: ID!, $none: ID!, $first: Int! = 3, $at: String, $yes: Boolean!"
    )
    return (
        f"query({variables}) {{ {' '.join(parts)} }} fragment Parts on Job {{ {fragment} version }}"
    )


class Lab:
    """Both ways to answer, over the parts of a running API."""

    def __init__(self, api: Api, user_id: str = "ann") -> None:
        self.app = api.service
        viewer = Viewer(user_id=user_id, expires_at_s=time.time() + 3600)
        self.request = Request(viewer=viewer)
        self.operations: Operations = open_operations(api.service.settings, api.service.tracing)

    async def compiled(self, asked: Parameters) -> bytes | None:
        """The short way's answer; None if it is not compiled."""
        assert asked.query is not None
        checked = self.operations.documents.check(
            asked.query, asked.operation_name, asked.variables
        )
        assert not checked.errors, checked.errors
        first = self.operations.compiled(asked.query, asked, checked)
        answer = first or self.operations.compiled(asked.query, asked, checked)
        if answer is None:
            return None
        result = await self.operations.get(answer, self.app, self.request)
        return rendered(result, JSON)[2]

    async def executed(self, asked: Parameters) -> bytes:
        """graphql-core's answer."""
        assert asked.query is not None
        context = context_of(self.app, self.request)
        result = await self.operations.execute(asked.query, asked, context)
        return rendered(result, JSON)[2]


@pytest.fixture
async def ids(api: Api, photo: bytes) -> dict[str, str]:
    """A grid with frames in different states, and a frame that was made from another one."""
    ann = api.client("ann")
    grid = await ann.started(prompt="a lake", variantCount=3, uploadId=await ann.upload(photo))
    done, running, failed = (UUID(job["id"]) for job in grid["jobs"])
    async with api.service.database.transaction() as connection:
        for job_id in (done, running, failed):
            await claim(connection, job_id, 0, worker="w", lease_s=600)
        await succeed(connection, done, 1, FINISH)
        await fail(connection, failed, 1, error_code=ErrorCode.TIMEOUT)
    again = await ann.ask(REGENERATE, id=str(done))
    return {"job": again.data["regenerate"]["job"]["id"], "parent": str(done), "grid": grid["id"]}


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
async def test_queries_give_the_same_bytes(
    api: Api, ids: dict[str, str], data: st.DataObject
) -> None:
    lab = Lab(api, data.draw(st.sampled_from(["ann", "ann", "bob"])))
    job = data.draw(st.sampled_from([ids["job"], ids["parent"]]))
    variables: dict[str, Any] = {"job": job, "generation": ids["grid"], "none": job[:-1] + "0"}
    variables |= data.draw(st.sampled_from([{"first": 2}, {}, {"first": 5, "at": None}]))
    variables["yes"] = data.draw(st.booleans())
    asked = Parameters(query=data.draw(queries()), variables=variables)
    checked = lab.operations.documents.check(asked.query or "", None, variables)
    if checked.errors and checked.errors[0].extensions:
        return  # too large, or too expensive
    async with asyncio.timeout(30):
        compiled = await lab.compiled(asked)
        executed = await lab.executed(asked)
    assert b'"errors"' not in executed
    assert compiled == executed


@pytest.mark.parametrize("document", NOT_COMPILED)
async def test_what_is_not_known_is_left_to_graphql_core(api: Api, document: str) -> None:
    lab = Lab(api)
    asked = Parameters(query=document)
    assert await lab.compiled(asked) is None
    assert "data" in msgspec.json.decode(await lab.executed(asked))


# --- over HTTP: the same request, answered by graphql-core first, then compiled ---

RESPONSE = "application/graphql-response+json"
READ = "query Read($id: ID!) { job(id: $id) { id state image { url } } }"
PAGE = """query($first: Int! = 20, $after: String, $filter: JobFilter) {
  jobs(first: $first, after: $after, filter: $filter) { nodes { id } pageInfo { endCursor } }
}"""
START = """mutation Start($input: StartGenerationInput!) {
  startGeneration(input: $input) {
    __typename
    ... on GenerationStarted {
      replayed deduplicated generation { id prompt jobs { id state variant } }
    }
    ... on UserError { code message }
    ... on InvalidInput { field }
    ... on PromptRejected { category }
  }
}"""
AGAIN = """mutation($input: RegenerateInput!) {
  again: regenerate(input: $input) {
    ... on JobRegenerated { replayed job { id seed regeneratedFrom { id } generation { prompt } } }
    ... on UserError { __typename message }
  }
}"""
REQUESTS: list[tuple[str, dict[str, Any]]] = [
    (READ, {"id": "JOB"}),
    (READ, {"id": "not an id"}),
    (READ, {"id": 12}),
    (READ, {"id": None}),
    (READ, {"id": ["JOB"]}),
    (READ, {}),
    (READ, {"id": "JOB", "more": {"a": 1}}),
    (PAGE, {}),
    (PAGE, {"first": 0}),
    (PAGE, {"first": "x"}),
    (PAGE, {"first": 2**31}),
    (PAGE, {"after": "not a cursor"}),
    (PAGE, {"filter": None}),
    (PAGE, {"filter": {"states": ["SUCCESS", "FAILED"]}}),
    (PAGE, {"filter": {"states": ["NONE"]}}),
    (PAGE, {"filter": {"states": None, "generationId": "GRID"}}),
    (PAGE, {"filter": {"generationId": "nonsense"}}),
    (PAGE, {"filter": {"unknown": 1}}),
    ("{ jobs(first: 101) { nodes { id } } }", {}),
    ("{ viewer { id } job(id: 5) { id } }", {}),
    ("{ nothing }", {}),
    ("query A { jobs { nodes { id } } } query B { jobs { nodes { state } } }", {}),
    (START, {"input": {"prompt": "  "}}),
    (START, {"input": {"prompt": "x" * 1001}}),
    (START, {"input": {"prompt": "a", "variantCount": 100}}),
    (START, {"input": {"prompt": "a", "uploadId": "nothing"}}),
    (START, {"input": {"prompt": "a", "size": "HUGE"}}),
    (START, {"input": {"prompt": "a", "style": 5}}),
    (START, {"input": {"prompt": "a naked woman"}}),
    (START, {"input": {"prompt": "a lake", "variantCount": 1, "idempotencyKey": "known"}}),
    (START, {"input": {"prompt": "another", "variantCount": 1, "idempotencyKey": "known"}}),
    (AGAIN, {"input": {"jobId": "nothing"}}),
    (AGAIN, {"input": {"jobId": "JOB", "promptDelta": "- a lake"}}),
    (AGAIN, {"input": {"jobId": "JOB", "idempotencyKey": "made"}}),
]


async def raw(api: Api, body: bytes, **headers: str) -> list[tuple[bytes, bytes] | int | bytes]:
    """Status, headers as they came and in their order, body; without what is never the same."""
    token = api.client("ann").token
    sent = {"content-type": "application/json", "authorization": f"Bearer {token}"}
    sent |= {"x-request-id": "the-same-id"} | headers
    response = await api.clients[-1].http.post("/graphql", content=body, headers=sent)
    told = [one for one in response.headers.raw if one[0] != b"date"]
    return [response.status_code, *told, response.content]


async def three_times(
    api: Api, document: str, variables: dict[str, Any], **headers: str
) -> list[list[tuple[bytes, bytes] | int | bytes]]:
    """Answers by graphql-core, which sees an operation first, and compiled, if it can be."""
    # A text of its own, which nobody has sent before.
    asked = {"query": f"{document}\n# {secrets.token_hex(8)}", "variables": variables}
    body = msgspec.json.encode(asked)
    return [await raw(api, body, **headers) for _ in range(3)]


@pytest.fixture
async def roomy(make_settings: Callable[..., Settings]) -> AsyncGenerator[Api, None]:
    async with running_api(
        make_settings(rate_limit_max_requests=1000, max_active_jobs=1000)
    ) as api:
        yield api


async def test_answers_are_the_same_over_http(roomy: Api) -> None:
    ann = roomy.client("ann")
    grid = await ann.started(prompt="a lake", variantCount=1, idempotencyKey="known")
    job = grid["jobs"][0]["id"]
    made = {"jobId": job, "idempotencyKey": "made"}
    assert "job" in (await ann.ask(AGAIN, input=made)).data["again"]
    for document, variables in REQUESTS:
        given = msgspec.json.encode(variables).replace(b"JOB", job.encode())
        given = msgspec.json.decode(given.replace(b"GRID", grid["id"].encode()))
        first, *others = await three_times(roomy, document, given)
        for other in others:
            assert other == first, (document, given)


@pytest.mark.parametrize("document", [(READ, {"id": "x"}), (START, {"input": {"prompt": ""}})])
@pytest.mark.parametrize(
    "headers",
    [
        {"accept": RESPONSE},
        {"accept": f"text/event-stream, {RESPONSE};q=0.5, application/json"},
        {"accept": "text/event-stream"},
        {"accept": "text/html"},
        {"authorization": ""},
        {"authorization": "Bearer nonsense"},
        {"content-type": "application/json; charset=utf-8"},
        {"content-type": "text/plain"},
        {"content-encoding": "gzip"},
        {"x-request-id": "no"},
    ],
)
async def test_headers_are_the_same(
    roomy: Api, document: tuple[str, dict[str, Any]], headers: dict[str, str]
) -> None:
    answers = await three_times(roomy, *document, **headers)
    if "x-request-id" in headers:
        answers = [[*one[:-2], one[-1]] for one in answers]
    assert answers[1:] == answers[:1] * 2


async def test_refusals_have_the_same_status(make_settings: Callable[..., Settings]) -> None:
    async with running_api(make_settings(max_active_jobs=1)) as api:
        await api.client("ann").started(prompt="a lake", variantCount=1)
        answers = await three_times(api, START, {"input": {"prompt": "b", "variantCount": 1}})
    assert answers[1:] == answers[:1] * 2
    assert answers[0][0] == 429
    assert (b"retry-after", b"5") in answers[0]


async def test_what_a_mutation_has_done_is_not_done_again(
    roomy: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answer needs something that cannot be read while it is written; then it can."""
    ann = roomy.client("ann")
    document = START.replace("id state", "id queuePosition state")
    for prompt in ("a lake", "a hill"):
        answer = await ann.ask(document, input={"prompt": prompt, "variantCount": 1})
        assert answer.data["startGeneration"]["generation"]["jobs"][0]["queuePosition"]

    async def fails(*_: object) -> None:
        monkeypatch.undo()
        raise OSError

    monkeypatch.setattr("resolvers.answering.Answering.read", fails)
    answer = await ann.ask(document, input={"prompt": "a tower", "variantCount": 1})
    (job,) = answer.data["startGeneration"]["generation"]["jobs"]
    assert job["queuePosition"] == 3
    assert len((await ann.ask("{ jobs { nodes { id } } }")).data["jobs"]["nodes"]) == 3


# --- variables and arguments, held against graphql-core's and Strawberry's ---

LITERALS = """query($first: Int, $after: String, $states: [JobState!], $one: JobState!, $in: ID) {
  a: jobs(first: $first, after: $after, filter: {states: $states, generationId: $in}) {
    nodes { id }
  }
  b: jobs(first: 7, filter: {states: [SUCCESS, $one]}) { nodes { id } }
  c: jobs(filter: {states: $one, generationId: 5}) { nodes { id } }
  d: jobs(after: null, filter: null) { nodes { id } }
}"""
DEFAULTS = """query($first: Int! = 3, $filter: JobFilter = {states: PENDING}, $id: ID! = 7) {
  jobs(first: $first, filter: $filter) { nodes { id } }
  job(id: $id) { id }
}"""
DOCUMENTS = [READ, PAGE, START, AGAIN, LITERALS, DEFAULTS]
SCALARS = st.sampled_from([
    *(None, True, False, 0, 1, -1, 1.0, 1.5, 2**31 - 1, 2**31, 10**400, "", "a", "1", "é"),
    *("SQUARE_512", "PENDING", "FAILED", "square_512"),
])  # fmt: skip
NAMES = st.sampled_from([
    *("prompt", "size", "variantCount", "seed", "lockSeed", "uploadId", "jobId", "promptDelta"),
    *("states", "generationId", "fallOver", "unknown"),
])  # fmt: skip
FITTING: dict[str, st.SearchStrategy[Any]] = {
    "id": st.sampled_from(["a", "1", 1, -5]),
    "first": st.integers(-(2**31), 2**31 - 1),
    "after": st.none() | st.text(max_size=3),
    "in": st.none() | st.sampled_from(["a", 1]),
    "one": st.sampled_from(["PENDING", "FAILED"]),
    "states": st.none() | st.lists(st.sampled_from(["PENDING", "SUCCESS"]), max_size=3),
}
FITTING["filter"] = st.none() | st.fixed_dictionaries(
    {}, optional={"states": FITTING["states"], "generationId": FITTING["in"]}
)
_REQUIRED = {"id", "one", "input"}
_START = st.fixed_dictionaries(
    {},
    optional={
        "prompt": st.text(max_size=3),
        "size": st.just("SQUARE_512"),
        "variantCount": st.none() | st.integers(-3, 9),
        "seed": st.none() | st.integers(0, 9).map(float),
        "lockSeed": st.booleans(),
        "uploadId": FITTING["in"],
        "fallOver": st.none() | st.booleans(),
    },
)
_AGAIN = st.fixed_dictionaries(
    {"jobId": FITTING["id"]},
    optional={"promptDelta": st.text(max_size=3), "lockSeed": st.none() | st.booleans()},
)


@st.composite
def anything(draw: st.DrawFn) -> dict[str, Any]:
    """Variables of which hardly any fits."""
    values = SCALARS | st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
        max_leaves=8,
    )
    names = st.sampled_from([*FITTING, "input", "other"])
    return draw(st.dictionaries(names, values, max_size=4))


@st.composite
def fitting(draw: st.DrawFn, document: str) -> dict[str, Any]:
    """Variables that fit a document's, as clients send them."""
    sent: dict[str, Any] = {}
    for definition in operation_of(document).variable_definitions:
        name = definition.variable.name.value
        values = FITTING.get(name, _START if document is START else _AGAIN)
        needed = name in _REQUIRED and definition.default_value is None
        if needed or draw(st.booleans()):
            sent[name] = draw(values)
    return sent


def operation_of(document: str) -> Any:
    return parse(document).definitions[0]


SCHEMA = build_schema()


def as_libraries_do(operation: Any, sent: dict[str, Any]) -> tuple[object, list[object]] | None:
    """Coerced variables, and each root field's arguments or what is wrong with them."""
    core = core_schema(SCHEMA)
    values = get_variable_values(core, operation.variable_definitions, sent)
    if isinstance(values, list):
        return None
    taken: list[object] = []
    kind: Any = core.get_root_type(operation.operation)
    for node in operation.selection_set.selections:
        field = kind.fields[node.name.value]
        try:
            arguments: Any = get_argument_values(field, node, values)
        except GraphQLError:
            taken.append("does not fit")
            continue
        definitions = field.extensions["strawberry-definition"].arguments
        registry = SCHEMA.schema_converter.scalar_registry
        taken.append(convert_arguments(arguments, definitions, registry, SCHEMA.config))
    return values.coerced, taken


def as_compiled(operation: Any, sent: dict[str, Any]) -> tuple[object, list[object]] | None:
    """The same, compiled."""
    core = core_schema(SCHEMA)
    values = coercer_of(core, operation.variable_definitions)(sent)
    if values is None:
        return None
    taken: list[object] = []
    kind: Any = core.get_root_type(operation.operation)
    for node in operation.selection_set.selections:
        try:
            taken.append(arguments_of(kind.fields[node.name.value], node)(values))
        except UnusualError:
            taken.append("does not fit")
    return values, taken


def exactly(value: Any) -> object:
    """What tells 1 from True and 1.0, and not in which order a dict was filled."""
    if isinstance(value, dict):
        return {name: exactly(one) for name, one in cast("dict[str, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [exactly(one) for one in cast("list[Any]", value)]
    return repr(value)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_what_fits_is_taken_as_the_libraries_do(data: st.DataObject) -> None:
    document = data.draw(st.sampled_from(DOCUMENTS))
    sent = data.draw(fitting(document))
    expected = as_libraries_do(operation_of(document), sent)
    assert expected is not None
    assert exactly(as_compiled(operation_of(document), sent)) == exactly(expected)


@settings(max_examples=1000, deadline=None)
@given(data=st.data())
def test_what_does_not_fit_is_never_taken(data: st.DataObject) -> None:
    document = data.draw(st.sampled_from(DOCUMENTS))
    sent = data.draw(anything())
    if data.draw(st.booleans()):
        sent = data.draw(fitting(document)) | sent
    compiled = as_compiled(operation_of(document), sent)
    if compiled is not None:
        assert exactly(compiled) == exactly(as_libraries_do(operation_of(document), sent))


UNUSUAL = """
scalar Any
input Nested { nested: Nested name: String }
input OneOf @oneOf { a: Int b: Int }
input Inner { a: Int! = 4, b: [[Int!]], c: Any }
input Outer { inner: Inner! = {b: [[1]]}, inners: [Inner], more: Any! }
type Query { f(n: Nested, one: OneOf, outer: Outer, list: [Outer!]!): Int }
"""


@pytest.mark.parametrize(
    ("kind", "sent", "is_taken"),
    [
        ("Outer", {"more": 1}, True),
        ("Outer", {"more": {"a": [None]}, "inner": {"b": [[1], None, []]}}, True),
        ("Outer", {"more": 1, "inners": [{"a": 1}, None]}, True),
        ("Outer", {"more": 1, "inners": {"a": 1}}, False),
        ("Outer", {"more": None}, False),
        ("Outer", {}, False),
        ("Outer", {"more": 1, "inner": None}, False),
        ("Outer", {"more": 1, "inner": {"b": [[None]]}}, False),
        ("Outer", {"more": 1, "inner": {"a": None}}, False),
        ("[Outer!]!", [{"more": 1}], True),
        ("[Outer!]!", [None], False),
        ("[Outer!]!", None, False),
        ("OneOf", {"a": 1}, False),
        ("Nested", {"name": "a"}, True),
        ("Nested", {"nested": {"name": "a"}}, False),
        ("Any!", None, False),
        ("Any", None, True),
    ],
)
def test_inputs_that_our_schema_does_not_have(kind: str, sent: object, *, is_taken: bool) -> None:
    definitions = operation_of(f"query($v: {kind}) {{ __typename }}").variable_definitions
    compiled = coercer_of(schema := schema_of(UNUSUAL), definitions)({"v": sent})
    assert (compiled is not None) == is_taken
    if compiled is not None:
        values = get_variable_values(schema, definitions, {"v": sent})
        assert not isinstance(values, list)
        assert exactly(compiled) == exactly(values.coerced)


def test_plans_take_a_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transport.compiled.plans.MAX_KEPT_BYTES", 300_000)
    plans = Plans(build_schema())
    texts = [f"query Q{number} {{ job(id: 1) {{ id state }} }}" for number in range(100)]

    def is_compiled(text: str) -> bool:
        return plans.find(text, parse(text), Parameters(query=text)) is not None

    for text in texts:
        assert not is_compiled(text)
        assert is_compiled(text)
        assert 0 < plans.kept_bytes <= 300_000
    assert is_compiled(texts[-2])
    assert not is_compiled(texts[0])
