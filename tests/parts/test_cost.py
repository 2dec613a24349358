"""What operations cost: counted once per fragment, before anything is executed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from graphql import OperationDefinitionNode, get_introspection_query, parse

from schema.build import build_schema
from tests.conftest import running_api
from transport.cost import KeptCosts, Prices
from transport.documents import Documents
from transport.limits import check_limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.settings import Settings
    from tests.conftest import Api

ROOT = Path(__file__).parents[2]
GRIDS = """query Grids($first: Int! = 20) {
  generations(first: $first) { nodes { id jobs { id queuePosition } } }
}"""


@pytest.fixture(scope="module")
def prices() -> Prices:
    return Prices(build_schema()._schema)  # pyright: ignore[reportPrivateUsage]


def cost(prices: Prices, text: str, /, **variables: object) -> int:
    document = parse(text)
    (operation, *_) = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
    cost, _ = prices.of(document, operation, variables)
    return cost


@pytest.mark.parametrize(
    ("document", "variables", "expected"),
    [
        ("{ __typename }", {}, 0),
        ("{ viewer { id limits { maxVariants } } }", {}, 2),
        ("{ a: viewer { id } b: viewer { id } }", {}, 2),
        # 2 for the page, 1 for the connection, 1 for each node.
        ("{ jobs { nodes { id } } }", {}, 23),
        ("{ jobs(first: 5) { nodes { id } pageInfo { hasNextPage } } }", {}, 9),
        ("{ jobs(first: 5) { edges { node { id } } } }", {}, 13),
        ("{ jobs(first: 5) { ...P } } fragment P on JobConnection { nodes { id } }", {}, 8),
        ("{ jobs(first: 5) { ... on JobConnection { ... { nodes { id } } } } }", {}, 8),
        (GRIDS, {}, 3 + 20 * (1 + 3 * 2)),
        (GRIDS, {"first": 2}, 3 + 2 * (1 + 3 * 2)),
        (GRIDS, {"first": 2.0}, 3 + 2 * (1 + 3 * 2)),
        ('subscription { jobProgress(jobIds: ["a", "b"]) { id image { url } } }', {}, 2 * 3),
        ("subscription($ids: [ID!]!) { jobProgress(jobIds: $ids) { id } }", {"ids": ["a"] * 9}, 9),
        # What does not fit costs something, too; validation refuses it.
        (GRIDS, {"first": 10**9}, 3 + 100 * (1 + 3 * 2)),
        (GRIDS, {"first": -5}, 3),
        (GRIDS, {"first": "x"}, 3 + (1 + 3 * 2)),
        ("query($n: Int) { jobs(first: $n) { nodes { id } } }", {"n": None}, 23),
        ("{ jobs(first: null) { nodes { id } } }", {}, 23),
        ("{ nothing { id } ...Nowhere }", {}, 0),
        ("{ viewer { ...A } } fragment A on Viewer { id ...A limits { maxVariants } }", {}, 2),
        ("{ __schema { types { name } } }", {}, 100),
        ('mutation { cancelJob(id: "a") { ... on JobCancelled { job { id } } } }', {}, 12),
    ],
)
def test_what_costs_what(
    prices: Prices, document: str, variables: dict[str, Any], expected: int
) -> None:
    assert cost(prices, document, **variables) == expected


def test_a_fragment_is_counted_once(prices: Prices) -> None:
    bomb = " ".join(f"fragment F{n} on Job {{ ...F{n + 1} ...F{n + 1} }}" for n in range(40))
    document = f"{{ jobs {{ nodes {{ ...F0 }} }} }} {bomb}"
    document += " fragment F40 on Job { preview { url } }"
    # Visiting each spread would take days.
    assert cost(prices, document) == 3 + 20 * (1 + 2 * 2**40)


def test_costs_are_kept_by_what_they_depend_on(prices: Prices) -> None:
    document = parse(
        f"{GRIDS} query Other($first: Int) {{ jobs(first: $first) {{ nodes {{ id }} }} }}"
    )
    grids, other = document.definitions
    assert isinstance(grids, OperationDefinitionNode)
    assert isinstance(other, OperationDefinitionNode)
    kept = KeptCosts(prices, document)
    for _ in range(2):
        for first, of_grids, of_other in (
            (1, 10, 4),
            (2, 17, 5),
            (None, 143, 23),
            ([1, 2, 3], 24, 6),
        ):
            variables: dict[str, Any] = {"first": first, "more": {}}
            assert (kept.of(grids, variables), kept.of(other, variables)) == (of_grids, of_other)
        assert (kept.of(grids, {}), kept.of(other, None)) == (143, 23)


def test_our_own_documents_are_far_from_every_limit(prices: Prices) -> None:
    texts = [path.read_text() for path in (ROOT / "web/src/graphql/documents").glob("*.graphql")]
    page = parse("\n".join(texts))
    costs = {
        one.name.value: prices.of(page, one, {"first": 12, "jobIds": ["a", "b", "c"]})[0]
        for one in page.definitions
        if isinstance(one, OperationDefinitionNode) and one.name
    }
    assert check_limits(page) == []
    for tab in re.findall(r"`(#[^`]*)`", (ROOT / "web/graphiql/tabs.ts").read_text()):
        assert cost(prices, tab, first=5, jobIds=["a", "b", "c"]) < 100
        assert check_limits(parse(tab)) == []
    introspection = get_introspection_query(
        specified_by_url=True, directive_is_repeatable=True, input_value_deprecation=True
    )
    assert check_limits(parse(introspection)) == []
    assert cost(prices, introspection) == 100
    assert max(costs.values()) == costs["Sketchbook"] < 500


def test_the_documentation_knows_every_cost(prices: Prices) -> None:
    table = (ROOT / "docs/protocol.md").read_text().split("| cost | what the field does |")[1]
    told = {int(row.split("|")[1]) for row in table.split("\n\n")[0].splitlines()[2:]}
    assert told == {price.call for price in prices.fields.values()}


async def test_the_price_is_told_when_asked(api: Api) -> None:
    ann = api.client()
    body = {"query": GRIDS, "variables": {"first": 2}, "extensions": {"cost": True}}
    answer = (await ann.http.post("/graphql", json=body)).json()
    assert answer["extensions"] == {"cost": {"requested": 17, "limit": 5000}}
    assert answer["data"]["generations"]["nodes"] == []
    assert "extensions" not in (await ann.ask(GRIDS)).body
    async with ann.socket() as socket:
        await socket.send({"id": "1", "type": "subscribe", "payload": body})
        assert (await socket.receive())["payload"]["extensions"]["cost"]["requested"] == 17


async def test_over_the_limit_nothing_is_executed(make_settings: Callable[..., Settings]) -> None:
    async with running_api(make_settings(max_operation_cost=100)) as api:
        ann = api.client()
        assert (await ann.ask(GRIDS, first=10)).data == {"generations": {"nodes": []}}
        answer = await ann.ask(GRIDS, first=20)
        assert answer.error["extensions"] == {
            "code": "MAX_COST_EXCEEDED",
            "cost": 143,
            "limit": 100,
        }
        assert "costs 143; 100 are allowed" in answer.error["message"]
        # Of several operations only the one that is meant counts.
        document = GRIDS + " query Cheap { viewer { id } }"
        body = {"query": document, "operationName": "Cheap"}
        assert (await ann.http.post("/graphql", json=body)).json()["data"] == {
            "viewer": {"id": "ann"}
        }
        async with ann.socket() as socket:
            (refused,) = [one async for one in socket.subscribe(GRIDS, first=20)]
        assert refused["errors"][0]["extensions"]["code"] == "MAX_COST_EXCEEDED"


async def test_lists_that_are_sent_have_an_end(api: Api) -> None:
    ann = api.client()
    document = "query($f: JobFilter) { jobs(filter: $f) { nodes { id } } }"
    answer = await ann.ask(document, f={"states": ["PENDING"] * 101})
    assert answer.error["extensions"] == {"code": "LIST_TOO_LONG", "limit": 100}
    assert "data" not in answer.body
    states = "[" + "PENDING " * 101 + "]"
    answer = await ann.ask(f"{{ jobs(filter: {{states: {states}}}) {{ nodes {{ id }} }} }}")
    assert answer.error["extensions"]["code"] == "LIST_TOO_LONG"
    assert (await ann.ask(document, f={"states": ["PENDING"] * 100})).data["jobs"]["nodes"] == []


def test_documents_take_a_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transport.documents.MAX_KEPT_BYTES", 40_000)
    schema = build_schema()._schema  # pyright: ignore[reportPrivateUsage]
    documents = Documents(schema, introspection=False, max_cost=100)
    texts = [f"query Q{number} {{ viewer {{ id }} }}" for number in range(20)]
    # Equal errors are the same errors only while the document is kept.
    first = documents.check("{ nothing }", None, None).errors
    assert documents.check("{ nothing }", None, None).errors is first
    for text in texts:
        assert documents.check(text, None, None).errors == []
    assert documents.check("{ nothing }", None, None).errors is not first
    # What is refused for its length takes no other's place.
    kept = documents.check(texts[-1], None, None).document
    assert documents.check("{ viewer { id } }" + " " * 200_000, None, None).document is None
    assert documents.check(texts[-1], None, None).document is kept
