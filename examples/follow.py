"""Follow your newest grid until its frames have ended, whatever the network does.

    python examples/follow.py

Needs `gql[httpx,websockets]`. MINTARI_URL and MINTARI_TOKEN say where the API is and who you are:
`mintari token` prints a token.
"""

from __future__ import annotations

import asyncio
import os
import random
from typing import Any

from gql import Client, GraphQLRequest
from gql.transport.exceptions import TransportError
from gql.transport.httpx import HTTPXAsyncTransport
from gql.transport.websockets import WebsocketsTransport

URL = os.environ.get("MINTARI_URL", "http://127.0.0.1:8000") + "/graphql"
AUTHORIZATION = {"authorization": f"Bearer {os.environ['MINTARI_TOKEN']}"}
NEWEST = "{ generations(first: 1) { nodes { prompt jobs { id } } } }"
FOLLOW = """subscription($ids: [ID!]!) { jobProgress(jobIds: $ids) {
  id variant version state progress image { url } error { message } } }"""


async def main() -> None:
    over_http = HTTPXAsyncTransport(url=URL, headers=AUTHORIZATION)
    async with Client(transport=over_http) as session:
        (grid,) = (await session.execute(GraphQLRequest(NEWEST)))["generations"]["nodes"]
    print(grid["prompt"], flush=True)
    ids, versions = [job["id"] for job in grid["jobs"]], dict[str, int]()
    while True:
        try:
            await follow(ids, versions)
        except (TransportError, OSError):
            # Nothing is missed: each subscription begins with every job as it is by then.
            await asyncio.sleep(0.5 + random.random())
        else:
            return


async def follow(ids: list[str], versions: dict[str, int]) -> None:
    """Print what is new until all jobs have ended."""
    socket = WebsocketsTransport(
        url=URL.replace("http", "ws", 1),
        init_payload=AUTHORIZATION,
        # Only this one: gql 4.4 looks for the answer's header in one spelling, and guesses else.
        subprotocols=[WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL],
    )
    async with Client(transport=socket) as session:
        async for data in session.subscribe(GraphQLRequest(FOLLOW, variable_values={"ids": ids})):
            job: dict[str, Any] = data["jobProgress"]
            if job["version"] > versions.get(job["id"], 0):
                versions[job["id"]] = job["version"]
                show(job)


def show(job: dict[str, Any]) -> None:
    about = job["error"]["message"] if job["error"] else job["image"]["url"] if job["image"] else ""
    print(f"{job['variant'] + 1}: {job['progress']} % {job['state']} {about}".strip(), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
