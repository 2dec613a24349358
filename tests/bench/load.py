"""The fan-out load client (clients/fanout.c), as Python drives it."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tests.bench.machine import compiled

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

ANSWER_S = 180.0


class Stats(msgspec.Struct, frozen=True):
    """What the client counted since its last reset; latencies are from publish to receipt."""

    messages: int
    bytes: int
    lost: int
    cpu_s: float
    samples: int
    p50_us: int
    p99_us: int
    max_us: int


class Load:
    """A running load client: one socket for each of its plan's lines."""

    def __init__(self, process: asyncio.subprocess.Process, count: int) -> None:
        self._process = process
        self.count = count

    async def connect(self, *, at_once: int = 64, snapshots: int = 1) -> float:
        """Open all sockets and wait until each has its snapshots; seconds until then."""
        answer = await self._ask(f"connect {at_once} {snapshots}")
        assert answer["failed"] == 0, f"{answer['failed']} of {self.count} did not connect"
        return answer["seconds"]

    async def reset(self, *, keep_latencies: bool = False) -> None:
        """Count anew from here."""
        await self._ask(f"reset {int(keep_latencies)}")

    async def everybody_has(self, version: int, *, within_s: float = 60) -> None:
        """Wait until each socket has seen this version or a later one. Fails if one does not."""
        answer = await self._ask(f"await {version} {int(within_s * 1000)}")
        assert answer["behind"] == 0, f"{answer['behind']} of {self.count} missed it: {answer}"

    async def stats(self) -> Stats:
        """The counts."""
        return msgspec.convert(await self._ask("stats"), Stats)

    async def close_sockets(self) -> None:
        """Cut all sockets at once."""
        await self._ask("close")

    async def _ask(self, command: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{command}\n".encode())
        async with asyncio.timeout(ANSWER_S):
            line = await self._process.stdout.readline()
        assert line, "the load client ended"
        return msgspec.json.decode(line)


@contextlib.asynccontextmanager
async def loading(
    port: int, plan: Sequence[tuple[object, object]], base_ns: int
) -> AsyncGenerator[Load, None]:
    """Run a load client; `plan` has a connection_init and a subscribe message per socket."""
    lines = [b"%s\t%s\n" % (msgspec.json.encode(a), msgspec.json.encode(b)) for a, b in plan]
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(b"".join(lines))
        process = await asyncio.create_subprocess_exec(
            compiled("clients/fanout.c"),
            str(port),
            file.name,
            str(base_ns),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            yield Load(process, len(plan))
        finally:
            process.kill()
            await process.wait()
