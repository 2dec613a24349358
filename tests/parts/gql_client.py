"""The cases of tests/clients/cases.mjs with gql from PyPI: httpx for requests, and websockets."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import tenacity
from gql import Client, FileVar, gql
from gql.transport.exceptions import TransportError, TransportQueryError
from gql.transport.httpx import HTTPXAsyncTransport
from gql.transport.websockets import WebsocketsTransport

from tests.node import CLIENTS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from gql.client import AsyncClientSession

    from tests.parts.client_book import Book

NAME = "gql"
DOCUMENTS = {
    path.stem: path.read_text() for path in sorted((CLIENTS / "documents").glob("*.graphql"))
}
AT_ONCE = tenacity.retry(
    retry=tenacity.retry_if_exception_type(TransportError), wait=tenacity.wait_fixed(0.1)
)


class GqlClient:
    """Two sessions of gql: `http`, and `socket`, which connects again by itself."""

    def __init__(
        self, http: AsyncClientSession, socket: AsyncClientSession, photo: Path, book: Book
    ) -> None:
        self._http = http
        self._socket = socket
        self._photo = photo
        self._book = book
        self._ids: list[str] = []

    async def step(self, step: str, prompt: str) -> None:
        """Take a step; failures are told like everything else."""
        try:
            match step:
                case "requests":
                    await self._requests(prompt)
                case "grids":
                    await self._grids()
                case _:
                    await self._restart(step, prompt)
        except Exception as error:
            self._book.tell(NAME, step, "failed", message=repr(error))
            raise

    async def _requests(self, prompt: str) -> None:
        step = "requests"
        data = await self._ask("viewer")
        assert data == await self._ask("viewer", on=self._socket)
        self._book.tell(NAME, step, "query", data=data)
        photo = FileVar(str(self._photo), content_type="image/jpeg")
        self._book.tell(NAME, step, "upload", data=await self._ask("upload", file=photo))
        errors = [await self._refusal(session) for session in (self._http, self._socket)]
        self._book.tell(NAME, step, "invalid", errors=errors)
        self._ids = await self._start(prompt, 3)
        self._book.tell(NAME, step, "mutation", ids=self._ids)
        async with aclosing(self._subscribe(self._ids)) as results:
            seen = [await anext(results)]
        self._book.tell(NAME, step, "unsubscribed", seen=seen, data=await self._ask("viewer"))

    async def _grids(self) -> None:
        a, b, c = self._ids
        grids = [[a, b, c], [a], [b], [c], [a, b], [b, c]]
        begun = [asyncio.Event() for _ in grids]
        async with asyncio.TaskGroup() as tasks:
            following = [
                tasks.create_task(self._follow(ids, event))
                for ids, event in zip(grids, begun, strict=True)
            ]
            for event in begun:
                await event.wait()
            self._book.tell(NAME, "grids", "following")
        grid, *five = [each.result() for each in following]
        self._book.tell(NAME, "grids", "grid", seen=grid)
        self._book.tell(NAME, "grids", "five", seen=five)

    async def _restart(self, step: str, prompt: str) -> None:
        begun = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            following = tasks.create_task(self._follow(await self._start(prompt, 1), begun))
            await begun.wait()
            self._book.tell(NAME, step, "following")
        data = await self._ask("viewer")
        self._book.tell(NAME, step, "restart", seen=following.result(), data=data)

    async def _ask(
        self, document: str, *, on: AsyncClientSession | None = None, **variables: Any
    ) -> dict[str, Any]:
        request = gql(DOCUMENTS[document])
        request.variable_values = variables
        # Only transports with files know this argument.
        files = {"upload_files": True} if "file" in variables else {}
        answer = await (on or self._http).execute(request, **files)
        return cast("dict[str, Any]", answer)

    async def _refusal(self, session: AsyncClientSession) -> dict[str, Any]:
        try:
            await self._ask("invalid", on=session)
        except TransportQueryError as error:
            (told,) = error.errors or []
            return {"message": told["message"], "code": told["extensions"]["code"]}
        raise AssertionError("an invalid document was executed")

    async def _start(self, prompt: str, count: int) -> list[str]:
        wanted = {"prompt": f"{prompt} {NAME}", "variantCount": count}
        data = await self._ask("start", input=wanted)
        return [job["id"] for job in data["startGeneration"]["generation"]["jobs"]]

    async def _follow(self, ids: list[str], begun: asyncio.Event) -> list[dict[str, Any]]:
        """All results until the end; subscribes again when the connection is lost."""
        seen: list[dict[str, Any]] = []

        @AT_ONCE
        async def follow() -> None:
            async for job in self._subscribe(ids):
                seen.append(job)
                begun.set()

        await follow()
        return seen

    async def _subscribe(self, ids: list[str]) -> AsyncGenerator[dict[str, Any], None]:
        request = gql(DOCUMENTS["follow"])
        request.variable_values = {"ids": ids}
        async with aclosing(self._socket.subscribe(request)) as results:
            async for data in results:
                yield data["jobProgress"]


@asynccontextmanager
async def gql_client(url: str, token: str, photo: Path, book: Book) -> AsyncGenerator[GqlClient]:
    """A connected client; url is that of /graphql."""
    authorization = {"authorization": f"Bearer {token}"}
    headers = {**authorization, "graphql-require-preflight": "1"}
    requests = Client(transport=HTTPXAsyncTransport(url, headers=headers, timeout=60))
    transport = WebsocketsTransport(url.replace("http", "ws", 1), init_payload=authorization)
    subscriptions = Client(transport=transport)
    async with requests as http:
        connect = subscriptions.connect_async  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  # keywords have no types
        socket = await connect(reconnecting=True, retry_connect=AT_ONCE)
        try:
            yield GqlClient(http, socket, photo, book)
        finally:
            await subscriptions.close_async()
