"""The servers that are compared in fan-out, and how each is started."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.bench.machine import HERE, compiled, python, served
from tests.bench.packages import node
from tests.bench.stack import our_api
from tests.conftest import free_port

if TYPE_CHECKING:
    from collections.abc import Generator

    from core.settings import Settings
    from tests.bench.stack import Stack

OURS = "mintari"
YOGA = "yoga"
DOCUMENTED = "documented"
RAW = "raw uvicorn"
LIMIT = "C send()"
CONTENDERS = (OURS, YOGA, DOCUMENTED, RAW, LIMIT)
ABOUT = {
    OURS: "this service: `mintari api`, tokens checked, the real schema",
    YOGA: "graphql-yoga, graphql-ws, ioredis",
    DOCUMENTED: "Strawberry as documented: one pub/sub and one execution per subscriber",
    RAW: "uvicorn's websockets (sansio) without GraphQL: the ceiling of ASGI",
    LIMIT: "a C program that calls send() once per message",
}


@dataclass(frozen=True)
class Server:
    """A running contender; `settings` are those of this service, None for the others."""

    pid: int
    port: int
    settings: Settings | None


@contextlib.contextmanager
def contender(name: str, stack: Stack) -> Generator[Server]:
    """Run a contender on its core."""
    port = free_port()
    if name == OURS:
        environment = stack.environment(port)
        with our_api(environment) as program:
            yield Server(program.pid, port, stack.settings(environment))
        return
    with served(_command(name, stack, port), {}, port) as program:
        yield Server(program.pid, port, None)


def _command(name: str, stack: Stack, port: int) -> list[str]:
    module = "tests.bench.contenders"
    match name:
        case "yoga":
            script = HERE / "contenders/yoga.mjs"
            where = (stack.valkey_socket, stack.postgres_folder, "mintari")
            return [node(), str(script), str(port), *where]
        case "documented":
            return python("-m", f"{module}.strawberry_documented", str(port), stack.valkey_url)
        case "raw uvicorn":
            return python("-m", f"{module}.raw_uvicorn", str(port), stack.valkey_url)
        case _:
            return [str(compiled("contenders/limit.c")), str(port), stack.valkey_socket]
