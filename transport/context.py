"""The GraphQL context: made once per HTTP request or websocket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schema.context import Context
from schema.loaders import make_loaders
from transport.identity import identify

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import HTTPConnection

    from core.auth import Verifier
    from resolvers.context import App, Request


def context_of(app: App, request: Request) -> Context:
    """The context of whatever a request asks for."""
    return Context(app=app, request=request, loaders=make_loaders(app, request))


def context_maker(verifier: Verifier) -> Callable[[HTTPConnection], Awaitable[Context]]:
    """A function that makes contexts, for requests of an application with `state.service`."""

    async def make(connection: HTTPConnection) -> Context:
        app: App = connection.app.state.service
        return context_of(app, await identify(verifier, connection))

    return make
