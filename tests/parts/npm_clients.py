"""The clients of tests/clients: one Node process that takes steps and tells what happened."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec

from tests.node import CLIENTS

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncGenerator, Mapping
    from pathlib import Path

    from tests.parts.client_book import Book


class NpmClients:
    """The running clients."""

    def __init__(self, process: Process, book: Book) -> None:
        self._process = process
        self._book = book

    async def step(self, step: str, prompt: str) -> None:
        """Let all of them take a step."""
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode({"step": step, "prompt": prompt}) + b"\n")
        await self._process.stdin.drain()

    async def read(self) -> None:
        """Write down what they tell, until their end."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            try:
                self._book.tell(**msgspec.json.decode(line))
            except msgspec.DecodeError:
                self._book.failures.append(line.decode())
        if code := await self._process.wait():
            self._book.failures.append(f"the clients ended with {code}")


@asynccontextmanager
async def npm_clients(
    node: str, url: str, photo: Path, tokens: Mapping[str, str], book: Book
) -> AsyncGenerator[NpmClients]:
    """Start these clients; at the end they close their connections, and their process ends."""
    process = await asyncio.create_subprocess_exec(
        node,
        "clients.mjs",
        url,
        str(photo),
        msgspec.json.encode(tokens).decode(),
        cwd=CLIENTS,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        limit=2**20,
    )
    clients = NpmClients(process, book)
    assert process.stdin is not None
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(clients.read())
            yield clients
            process.stdin.close()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
