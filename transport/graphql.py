"""GraphQL over HTTP and over websockets (graphql-transport-ws)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import msgspec
from cross_web import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from strawberry.asgi import GraphQL
from strawberry.exceptions import ConnectionRejectionError
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.types.unset import UNSET, UnsetType

from schema.context import Context
from schema.loaders import make_loaders
from transport.identity import apply_token, identify, token_of_payload

if TYPE_CHECKING:
    from collections.abc import Mapping

    import strawberry
    from starlette.types import Receive, Scope, Send
    from starlette.websockets import WebSocket
    from strawberry.http import GraphQLHTTPResponse

    from core.auth import Verifier
    from resolvers.context import App

_STATUS = {"UNAUTHENTICATED": 401, "RATE_LIMITED": 429, "OVERLOADED": 503}


class GraphQLEndpoint(GraphQL[Context, None]):
    """The endpoint. `app_of` gives the service, which exists once the process has started."""

    def __init__(
        self, schema: strawberry.Schema, verifier: Verifier, allowed_origins: tuple[str, ...]
    ) -> None:
        super().__init__(
            schema,
            graphql_ide=None,
            # By name: the legacy protocol, on by default, had an authentication bypass.
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,),
            multipart_uploads_enabled=True,
            allowed_origins=allowed_origins,
        )
        self._verifier = verifier

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; failures before execution are GraphQL JSON, too."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            _check_preflight(request)
            response = await self.run(request)
        except HTTPException as error:
            headers = {"allow": "GET, POST"} if error.status_code == 405 else None
            response = JSONResponse(
                {"errors": [{"message": error.reason, "extensions": {"code": "BAD_REQUEST"}}]},
                status_code=error.status_code,
                headers=headers,
            )
        finally:
            # Uploaded files are temporary files, which are closed by whoever asked for the form.
            await request.close()
        await response(scope, receive, send)

    async def get_context(
        self, request: Request | WebSocket, response: Response | WebSocket
    ) -> Context:
        """Made once per request or socket; it holds makers of connections, never a connection."""
        del response
        app: App = request.app.state.service
        identity = identify(self._verifier, request)
        return Context(app=app, request=identity, loaders=make_loaders(app, identity))

    async def on_ws_connect(self, context: Context) -> UnsetType | dict[str, object] | None:
        """Take the token of connection_init; one that does not hold closes with 4403."""
        token = token_of_payload(context.connection_params)
        apply_token(self._verifier, context.request, token)
        if context.request.refusal is not None:
            raise ConnectionRejectionError
        return UNSET

    def create_response(
        self,
        response_data: GraphQLHTTPResponse | list[GraphQLHTTPResponse],
        sub_response: Response,
    ) -> Response:
        """Give errors that any operation can meet their HTTP status and Retry-After."""
        response = super().create_response(response_data, sub_response)
        if isinstance(response_data, dict) and response_data.get("data") is None:
            for error in response_data.get("errors") or ():
                _set_status(response, cast("Mapping[str, Any]", error).get("extensions") or {})
        return response

    def encode_json(self, data: object) -> str:
        """JSON by msgspec: a third of the time of the standard library's.

        Text, because of bytes Strawberry makes binary websocket frames, which no browser parses.
        """
        return msgspec.json.encode(data).decode()


def _set_status(response: Response, extensions: Mapping[str, object]) -> None:
    code, retry_after_s = extensions.get("code"), extensions.get("retryAfterSeconds")
    if isinstance(code, str) and code in _STATUS:
        response.status_code = _STATUS[code]
    if response.status_code == 401:
        response.headers["www-authenticate"] = "Bearer"
    if retry_after_s is not None:
        response.headers["retry-after"] = str(retry_after_s)


def _check_preflight(request: Request) -> None:
    """A form of another site must not be able to send a multipart request with our cookies."""
    content_type = request.headers.get("content-type", "")
    if content_type.startswith("multipart/") and "graphql-require-preflight" not in request.headers:
        raise HTTPException(400, "Multipart requests need the header GraphQL-Require-Preflight.")
