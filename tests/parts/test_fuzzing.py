"""Operations at random, made from the schema by schemathesis: none is an error of the server's.

The long form, `make fuzz`, goes on for a minute and begins with another seed each time.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import secrets
import time
from collections import Counter
from datetime import UTC, timedelta, timezone
from typing import TYPE_CHECKING, Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from schemathesis.graphql import nodes

from core.auth import issue_token
from tests.conftest import SECRET, running_api
from tests.programs import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from core.settings import Settings
    from tests.client import Client

IS_LONG = os.environ.get("FUZZ", "short") == "long"
LONG_S = 60.0
EXAMPLES = 12
"""Of each of the 25 queries and mutations in a round; the short form is one round."""
WITHIN_S = 60
ID = re.compile(r'\b(id|\w+Id): (?:"(?:[^"\\]|\\.)*"|-?\d+)')
FIRST = re.compile(r"\bfirst: -?(\d+)")
OPERATOR = "olga"
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


class Fuzzer:
    """Sends operations with one user's token; `executed` counts those that were not refused."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.headers["authorization"] = f"Bearer {token}"
        self.operations = operations()
        self.executed = Counter[str]()

    def play(self, number: int, known_ids: list[str]) -> None:
        """One round of all operations; the same number gives the same round."""
        for operation in self.operations:

            @seed(number)
            @hypothesis_settings(
                max_examples=EXAMPLES,
                database=None,
                deadline=None,
                phases=[Phase.generate],
                suppress_health_check=SLOW,
            )
            @given(case=operation.as_strategy(), known=st.sampled_from([None, *known_ids]))
            def ask(case: Any, known: str | None) -> None:
                if known is not None:
                    case.body = with_sense(case.body, known)
                if self._is_executed(case):
                    self.executed[case.operation.label] += 1

            ask()

    def _is_executed(self, case: Any) -> bool:
        """Whether there are data and no errors. Fails for an error of the server's."""
        response = case.call(base_url=self._url, session=self._session, timeout=WITHIN_S)
        said = f"{response.status_code} {response.text}\nto: {case.body}"
        assert response.status_code < 500, said
        answer: dict[str, Any] = response.json()
        errors = answer.get("errors", [])
        assert all(error["extensions"]["code"] != "INTERNAL" for error in errors), said
        assert errors or answer["data"] is not None, said
        return not errors


def operations() -> list[Any]:
    """All queries and mutations of the schema, with values for its own scalars."""
    zones = st.sampled_from(
        [None, UTC, timezone(timedelta(hours=-12)), timezone(timedelta(hours=14))]
    )
    times = st.datetimes(timezones=zones).map(lambda at: at.isoformat())
    schemathesis.graphql.scalar("DateTime", (times | st.text()).map(nodes.String))
    schemathesis.graphql.scalar("File", st.text().map(nodes.String))
    path = ROOT / "schema" / "schema.graphql"
    schema: Any = schemathesis.graphql.from_path(path)  # pyright: ignore[reportUnknownMemberType]
    return [found.ok() for found in schema.get_all_operations()]


def with_sense(document: str, known_id: str) -> str:
    """The document with an id that exists and pages that are not too long, to get further."""
    document = ID.sub(rf'\1: "{known_id}"', document)
    return FIRST.sub(lambda found: f"first: {int(found[1]) % 101}", document)


def rounds() -> Iterator[int]:
    """Numbers of the rounds to play."""
    if not IS_LONG:
        yield 0
        return
    end = time.monotonic() + LONG_S
    for number in itertools.count(secrets.randbits(32)):
        if time.monotonic() > end:
            return
        print("round", number)
        yield number


async def test_no_operation_is_an_error_of_ours(
    make_settings: Callable[..., Settings], photo: bytes
) -> None:
    settings = make_settings(rate_limit_max_requests=1_000_000, max_active_jobs=1_000_000)
    async with running_api(settings) as api:
        token = issue_token(SECRET, user_id=OPERATOR, ttl_s=3600, role="operator")
        client = api.with_token(token)
        fuzzer = Fuzzer(f"{api.url}/graphql", token)
        for number in rounds():
            await asyncio.to_thread(fuzzer.play, number, await ids_of(client, photo))
    # Otherwise nothing but refusals would have been tested.
    assert set(fuzzer.executed) == {operation.label for operation in fuzzer.operations}


async def ids_of(client: Client, photo: bytes) -> list[str]:
    """Something of each kind that has an id."""
    generation = await client.started(prompt="a harbour", variantCount=1)
    return [generation["id"], generation["jobs"][0]["id"], await client.upload(photo)]
