"""What GraphQL fields get through `info.context`; made once per request or websocket."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import strawberry

from resolvers.context import App, Loaders, Request


@dataclass(slots=True)
class Context:
    """The service, who asks, and gathered reads. `connection_params` is the socket's payload."""

    app: App
    request: Request
    loaders: Loaders
    connection_params: dict[str, object] | None = field(default=None)


Info: TypeAlias = strawberry.Info[Context, None]
