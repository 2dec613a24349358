"""What GraphQL fields get through `info.context`; made once per request or websocket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import strawberry

from resolvers.admission import Admitted
from resolvers.context import App, Loaders, Request


@dataclass(slots=True)
class Context:
    """The service, who asks, and gathered reads.

    `admitted`: what the mutation has done already, so that only its answer is left.
    """

    app: App
    request: Request
    loaders: Loaders
    admitted: Admitted | None = None


Info: TypeAlias = strawberry.Info[Context, None]
