"""Upload a photo, start three frames, watch them being painted, save them.

    python examples/paint.py "a walk through a sunny meadow" --photo me.jpg --style watercolor

Without a photo the sentence alone is painted. Needs `httpx` and `websockets`. MINTARI_URL and
MINTARI_TOKEN say where the API is and who you are; beside a running `make run` neither is needed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import websockets

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

URL = os.environ.get("MINTARI_URL", "http://127.0.0.1:8000")
START = """mutation($input: StartGenerationInput!) { startGeneration(input: $input) {
  ... on GenerationStarted { generation { jobs { id } } } ... on UserError { message } } }"""
FOLLOW = """subscription($ids: [ID!]!) { jobProgress(jobIds: $ids) {
  id variant state stage progress image { url } error { message } } }"""


async def main(photo: Path | None, prompt: str, style: str, out: Path) -> None:
    async with httpx.AsyncClient(base_url=URL, timeout=30) as http:
        token = os.environ.get("MINTARI_TOKEN") or await dev_token(http)
        http.headers["authorization"] = f"Bearer {token}"
        wanted = {"prompt": prompt, "style": style}
        if photo:
            answer = await http.post("/uploads", content=photo.read_bytes())
            wanted["uploadId"] = check(answer)["id"]
        body = {"query": START, "variables": {"input": wanted}}
        started = check(await http.post("/graphql", json=body))["data"]["startGeneration"]
        if "generation" not in started:
            raise SystemExit(started["message"])
        ids = [job["id"] for job in started["generation"]["jobs"]]
        async for job in follow(token, ids):
            bar = "█" * (job["progress"] // 4)
            print(f"frame {job['variant']} {bar:25} {job['progress']:3} % {job['state']}")
            if job["image"]:
                path = out / f"{job['id']}.webp"
                path.write_bytes((await http.get(job["image"]["url"])).content)
                print(f"        saved as {path}")


async def dev_token(http: httpx.AsyncClient) -> str:
    return check(await http.post("/dev/token"))["token"]


async def follow(token: str, ids: list[str]) -> AsyncGenerator[dict[str, Any], None]:
    async with websockets.connect(
        URL.replace("http", "ws", 1) + "/graphql",
        subprotocols=[websockets.Subprotocol("graphql-transport-ws")],
    ) as socket:
        init = {"type": "connection_init", "payload": {"authorization": f"Bearer {token}"}}
        await socket.send(json.dumps(init))
        assert json.loads(await socket.recv())["type"] == "connection_ack"
        payload = {"query": FOLLOW, "variables": {"ids": ids}}
        await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
        async for text in socket:
            message = json.loads(text)
            if message["type"] == "next":
                yield message["payload"]["data"]["jobProgress"]
            elif message["type"] in ("complete", "error"):
                return


def check(response: httpx.Response) -> Any:
    answer = response.json()
    if problem := answer.get("errors") or answer.get("error"):
        raise SystemExit(f"{response.status_code}: {problem}")
    return answer


if __name__ == "__main__":
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("prompt", help="what to paint")
    parser.add_argument("--photo", type=Path, help="a PNG, JPEG or WebP file to paint from")
    parser.add_argument("--style", default="ghibli", help="ghibli, watercolor, ink, oil, ...")
    parser.add_argument("--out", type=Path, default=Path(), help="the folder to save frames in")
    given = parser.parse_args()
    asyncio.run(main(given.photo, given.prompt, given.style, given.out))
