"""Clients from npm and PyPI, unmodified, with one API that is stopped and killed meanwhile."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from pydantic import SecretStr

from core.auth import issue_token
from mintari.standins.gemini import application
from mintari.standins.running import running
from tests.chaos.processes import Process
from tests.conftest import SECRET, running_api, running_worker
from tests.node import install_clients
from tests.parts.client_book import WITHIN_S, Book
from tests.parts.gql_client import NAME as GQL
from tests.parts.gql_client import gql_client
from tests.parts.npm_clients import npm_clients
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from pathlib import Path

    import pytest

    from core.settings import Settings
    from tests.client import Json
    from tests.conftest import Api

    BeginStep = Callable[[str], Awaitable[None]]

NPM = (
    "graphql-ws",
    "graphql-sse",
    "apollo-ws",
    "apollo-multipart",
    "urql-ws",
    "urql-sse",
    "relay",
)
ALL = (*NPM, GQL)
WITHOUT_FILES = ("graphql-ws", "graphql-sse")
"""What they send is JSON and nothing else."""
PROMPT = "a harbour at dusk [wrong-size]"
"""The stand-in paints 512 pixels a side then, which is quick."""


async def test_clients_of_others(
    make_settings: Callable[..., Settings], photo: bytes, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    node = install_clients()
    picture = tmp_path / "photo.jpg"
    picture.write_bytes(photo)
    book = Book()
    with running(application()) as stand_in:
        settings = make_settings(
            gen_provider="gemini",
            gemini_api_key="stand-in",
            gemini_base_url=stand_in.url,
            rate_limit_max_requests=1000,
            max_active_jobs=1000,
            worker_concurrency=16,
        )
        truth = await play(settings, node, picture, book)
    for client in ALL:
        for what, judge in JUDGES.items():
            with subtests.test(f"{client}: {what}"):
                judge(book, client, truth)


async def play(settings: Settings, node: str, photo: Path, book: Book) -> dict[str, Json]:
    """All steps, and two ends of the API; the jobs as they are afterwards, by id."""
    second = Process("api", ["-m", "mintari", "api"], environment_of(settings))
    try:
        async with AsyncExitStack() as stack:
            first = await stack.enter_async_context(AsyncExitStack())
            api = await first.enter_async_context(running_api(settings))
            step = await stack.enter_async_context(opened(settings, node, photo, book))
            await requests_and_grids(settings, api, step, book)
            await step("stop")
            await book.told("stop", "following", ALL)
            await first.aclose()
            async with running_worker(settings):
                second.start()
                await book.told("stop", "restart", ALL)
            await step("kill")
            await book.told("kill", "following", ALL)
            second.stop()
            async with running_worker(settings), running_api(settings) as third:
                await book.told("kill", "restart", ALL)
                return await truth_of(third)
    finally:
        second.stop()


async def requests_and_grids(settings: Settings, api: Api, step: BeginStep, book: Book) -> None:
    async def nobody_follows() -> bool:
        return api.service.feed.followed_count == 0

    await step("requests")
    await book.told("requests", "unsubscribed", ALL)
    await wait_until(nobody_follows, within_s=WITHIN_S, what="the end of all subscriptions")
    await step("grids")
    await book.told("grids", "following", ALL)
    async with running_worker(settings):
        await book.told("grids", "five", ALL)


async def truth_of(api: Api) -> dict[str, Json]:
    """All jobs of all clients, by id."""
    jobs: dict[str, Json] = {}
    for client in ALL:
        answer = await api.client(client).ask("{ jobs(first: 100) { nodes { id version state } } }")
        jobs.update({job["id"]: job for job in answer.data["jobs"]["nodes"]})
    return jobs


@asynccontextmanager
async def opened(
    settings: Settings, node: str, photo: Path, book: Book
) -> AsyncGenerator[BeginStep]:
    """All clients, connected; what is yielded lets them begin a step."""
    url = f"{settings.public_url}/graphql"
    tokens = {name: issue_token(SECRET, user_id=name, ttl_s=3600) for name in ALL}
    npm_tokens = {name: tokens[name] for name in NPM}
    async with (
        npm_clients(node, url, photo, npm_tokens, book) as npm,
        gql_client(url, tokens[GQL], photo, book) as gql,
        asyncio.TaskGroup() as tasks,
    ):

        async def step(name: str) -> None:
            await npm.step(name, f"{PROMPT} {name}")
            tasks.create_task(gql.step(name, f"{PROMPT} {name}"))

        yield step


def environment_of(settings: Settings) -> dict[str, str]:
    """The same settings for a process."""

    def text(value: object) -> str:
        return value.get_secret_value() if isinstance(value, SecretStr) else str(value)

    return {name.upper(): text(getattr(settings, name)) for name in settings.model_fields_set}


def ends_with_the_truth(seen: list[Json], truth: dict[str, Json]) -> None:
    """Versions never go back, and the last one of each job is what a query reads."""
    last: dict[str, Json] = {}
    for job in seen:
        before = last.get(job["id"], job)
        assert job["version"] >= before["version"]
        last[job["id"]] = job
    for job_id, job in last.items():
        assert job["image"]["url"]
        assert {key: job[key] for key in ("id", "version", "state")} == truth[job_id]
        assert job["state"] == "SUCCESS"


def judge_query(book: Book, client: str, truth: dict[str, Json]) -> None:
    assert book.facts[client, "requests", "query"]["data"]["viewer"]["id"] == client


def judge_mutation(book: Book, client: str, truth: dict[str, Json]) -> None:
    ids = book.facts[client, "requests", "mutation"]["ids"]
    assert len(set(ids) & set(truth)) == 3


def judge_upload(book: Book, client: str, truth: dict[str, Json]) -> None:
    answer = book.facts[client, "requests", "upload"]["data"]["createUpload"]
    if client in WITHOUT_FILES:
        assert answer["code"] == "UPLOAD_REJECTED"
        assert "POST /uploads" in answer["message"]
    else:
        assert (answer["upload"]["width"], answer["upload"]["height"]) == (512, 512)


def judge_invalid(book: Book, client: str, truth: dict[str, Json]) -> None:
    errors = book.facts[client, "requests", "invalid"]["errors"]
    assert errors
    for error in errors:
        assert error["code"] == "INVALID_DOCUMENT"
        assert error["message"] == "Cannot query field 'nothing' on type 'Viewer'."


def judge_unsubscribing(book: Book, client: str, truth: dict[str, Json]) -> None:
    facts = book.facts[client, "requests", "unsubscribed"]
    assert {job["state"] for job in facts["seen"]} == {"PENDING"}
    # The connection, where there is one for all, goes on.
    assert facts["data"]["viewer"]["id"] == client


def judge_grid(book: Book, client: str, truth: dict[str, Json]) -> None:
    seen = book.facts[client, "grids", "grid"]["seen"]
    ids = book.facts[client, "requests", "mutation"]["ids"]
    assert {job["id"] for job in seen[:3]} == {job["id"] for job in seen} == set(ids)
    ends_with_the_truth(seen, truth)


def judge_five(book: Book, client: str, truth: dict[str, Json]) -> None:
    a, b, c = book.facts[client, "requests", "mutation"]["ids"]
    five = book.facts[client, "grids", "five"]["seen"]
    for seen, ids in zip(five, ({a}, {b}, {c}, {a, b}, {b, c}), strict=True):
        assert {job["id"] for job in seen} == ids
        ends_with_the_truth(seen, truth)


def judge_restarts(book: Book, client: str, truth: dict[str, Json]) -> None:
    for step in ("stop", "kill"):
        facts = book.facts[client, step, "restart"]
        assert facts["seen"][0]["state"] == "PENDING"
        ends_with_the_truth(facts["seen"], truth)
        assert facts["data"]["viewer"]["id"] == client


JUDGES: dict[str, Callable[[Book, str, dict[str, Json]], None]] = {
    "query": judge_query,
    "mutation": judge_mutation,
    "upload": judge_upload,
    "invalid document": judge_invalid,
    "unsubscribe": judge_unsubscribing,
    "grid": judge_grid,
    "five at once": judge_five,
    "restarts": judge_restarts,
}
