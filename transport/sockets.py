"""GraphQL over websockets: graphql-transport-ws."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from strawberry.asgi import GraphQL
from strawberry.exceptions import ConnectionRejectionError
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.types.unset import UNSET, UnsetType

from schema.context import Context
from transport.identity import apply_token, token_of_payload

if TYPE_CHECKING:
    from collections.abc import Callable

    import strawberry
    from starlette.requests import HTTPConnection, Request
    from starlette.responses import Response
    from starlette.websockets import WebSocket

    from core.auth import Verifier


class SocketEndpoint(GraphQL[Context, None]):
    """The websocket side. `make_context` makes the context of one socket."""

    def __init__(
        self,
        schema: strawberry.Schema,
        make_context: Callable[[HTTPConnection], Context],
        verifier: Verifier,
        allowed_origins: tuple[str, ...],
    ) -> None:
        super().__init__(
            schema,
            graphql_ide=None,
            # By name: the legacy protocol, on by default, had an authentication bypass.
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,),
            allowed_origins=allowed_origins,
        )
        self._make_context = make_context
        self._verifier = verifier

    async def get_context(
        self, request: Request | WebSocket, response: Response | WebSocket
    ) -> Context:
        """Made once per socket; it holds makers of connections, never a connection."""
        del response
        return self._make_context(request)

    async def on_ws_connect(self, context: Context) -> UnsetType | dict[str, object] | None:
        """Take the token of connection_init; one that does not hold closes with 4403."""
        token = token_of_payload(context.connection_params)
        apply_token(self._verifier, context.request, token)
        if context.request.refusal is not None:
            raise ConnectionRejectionError
        return UNSET

    def encode_json(self, data: object) -> str:
        """Text, as the protocol wants; msgspec takes a third of the standard library's time."""
        return msgspec.json.encode(data).decode()
