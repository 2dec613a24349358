"""The GraphQL context: made once per HTTP request or websocket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schema.context import Context
from schema.loaders import make_loaders

if TYPE_CHECKING:
    from resolvers.context import App, Request


def context_of(app: App, request: Request) -> Context:
    """The context of whatever a request asks for."""
    return Context(app=app, request=request, loaders=make_loaders(app, request))
