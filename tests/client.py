"""A GraphQL client for tests: plain httpx and a plain websocket, so that nothing is hidden."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import httpx
import msgspec
import websockets

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from websockets.asyncio.client import ClientConnection

JOB = """
fragment JobParts on Job {
  id variant version state stage progress progressKind seed seedLocked provider model retryCount
  fallOver { requestedProvider reason }
  generationTimeMs preview { url } error { code message retryable blockStage }
  image { url thumbnailUrl thumbhash width height bytes contentType }
  createdAt startedAt finishedAt
}
"""
START = (
    """
mutation Start($input: StartGenerationInput!) {
  startGeneration(input: $input) {
    __typename
    ... on GenerationStarted { deduplicated replayed generation { id jobs { ...JobParts } } }
    ... on UserError { code message }
    ... on InvalidInput { field }
  }
}
"""
    + JOB
)
FOLLOW = (
    """
subscription Follow($ids: [ID!]!) { jobProgress(jobIds: $ids) { ...JobParts } }
"""
    + JOB
)
READ_JOB = "query ReadJob($id: ID!) { job(id: $id) { ...JobParts } }" + JOB

Json = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """A GraphQL response over HTTP."""

    status: int
    headers: Mapping[str, str]
    body: Json

    @property
    def data(self) -> Json:
        assert "errors" not in self.body, self.body["errors"]
        return cast("Json", self.body["data"])

    @property
    def error(self) -> Json:
        """The only error."""
        (error,) = self.body["errors"]
        return cast("Json", error)


class Client:
    """One user of one API."""

    def __init__(self, base_url: str, token: str | None) -> None:
        self.base_url = base_url
        self.token = token
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self.http = httpx.AsyncClient(base_url=base_url, headers=headers, timeout=30)

    async def ask(self, document: str, **variables: object) -> Answer:
        """Send a query or mutation."""
        body = {"query": document, "variables": variables}
        response = await self.http.post("/graphql", json=body)
        return Answer(response.status_code, response.headers, response.json())

    async def start(self, **wanted: object) -> Json:
        """startGeneration; the union member."""
        return (await self.ask(START, input=wanted)).data["startGeneration"]

    async def started(self, **wanted: object) -> Json:
        """startGeneration that succeeds; the generation."""
        result = await self.start(**wanted)
        assert result["__typename"] == "GenerationStarted", result
        return cast("Json", result["generation"])

    async def job(self, job_id: str) -> Json:
        """Read a job that exists."""
        job = (await self.ask(READ_JOB, id=job_id)).data["job"]
        assert job is not None
        return cast("Json", job)

    async def upload(self, content: bytes) -> str:
        """Upload a photo by plain HTTP; its id."""
        response = await self.http.post("/uploads", content=content)
        assert response.status_code == 201, response.text
        return response.json()["id"]

    @asynccontextmanager
    async def socket(self) -> AsyncGenerator[Socket, None]:
        """An initialised graphql-transport-ws connection."""
        url = self.base_url.replace("http", "ws", 1) + "/graphql"
        protocol = websockets.Subprotocol("graphql-transport-ws")
        async with websockets.connect(url, subprotocols=[protocol]) as connection:
            payload = {"authorization": f"Bearer {self.token}"} if self.token else {}
            socket = Socket(connection)
            await socket.send({"type": "connection_init", "payload": payload})
            assert (await socket.receive())["type"] == "connection_ack"
            yield socket

    async def follow(self, *job_ids: str) -> AsyncGenerator[Json, None]:
        """Jobs from jobProgress on a socket of its own, until it completes."""
        async with self.socket() as socket:
            async for payload in socket.subscribe(FOLLOW, ids=list(job_ids)):
                assert "errors" not in payload, payload["errors"]
                yield payload["data"]["jobProgress"]

    async def follow_to_end(self, *job_ids: str, within_s: float = 60) -> list[Json]:
        """Everything that jobProgress says about these jobs."""
        async with asyncio.timeout(within_s):
            return [job async for job in self.follow(*job_ids)]

    async def aclose(self) -> None:
        await self.http.aclose()


class Socket:
    """A graphql-transport-ws connection, one operation at a time per generator."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self._ids = itertools.count(1)

    async def send(self, message: Json) -> None:
        await self.connection.send(msgspec.json.encode(message).decode())

    async def receive(self, within_s: float = 30) -> Json:
        async with asyncio.timeout(within_s):
            return msgspec.json.decode(await self.connection.recv())

    async def subscribe(self, document: str, **variables: object) -> AsyncGenerator[Json, None]:
        """Payloads of `next` messages until `complete`; an `error` message's as {"errors": ...}."""
        operation = str(next(self._ids))
        payload = {"query": document, "variables": variables}
        await self.send({"id": operation, "type": "subscribe", "payload": payload})
        while True:
            message = await self.receive()
            if message["type"] == "ping":
                await self.send({"type": "pong"})
                continue
            assert message["id"] == operation, message
            if message["type"] == "complete":
                return
            if message["type"] == "error":
                yield {"errors": message["payload"]}
                return
            yield message["payload"]
