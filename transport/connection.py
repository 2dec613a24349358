"""One graphql-transport-ws connection: its states, its operations, its end."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec
from graphql import GraphQLError
from starlette.websockets import WebSocketDisconnect
from strawberry.schema.exceptions import CannotGetOperationTypeError
from strawberry.types.execution import PreExecutionError

from core.log import get_logger
from transport.caps import Caps, TooManySocketsError
from transport.identity import apply_token, token_of_payload
from transport.messages import (
    Complete,
    Init,
    InvalidMessageError,
    Operation,
    Ping,
    Subscribe,
    close_reason,
    read_message,
)

if TYPE_CHECKING:
    import strawberry
    from starlette.websockets import WebSocket

    from core.auth import Verifier, Viewer
    from schema.context import Context

TRY_AGAIN_LATER = 1013
"""Registered at IANA for websockets; the graphql-ws client comes back after it."""
INIT_TIMEOUT_S = 10.0
MAX_OPERATIONS = 100
"""At once on one socket; a page has one or two."""
MAX_MESSAGES = 200
MESSAGES_WINDOW_S = 10.0
"""So many messages in so many seconds are no grid any more."""

_log = get_logger(__name__)


class _Closed(Exception):  # leaves the loops, nothing else
    """The connection ends with a code and a reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Connection:
    """A socket that was accepted with the protocol. `run` returns when it is closed."""

    def __init__(
        self,
        socket: WebSocket,
        schema: strawberry.Schema,
        context: Context,
        verifier: Verifier,
        caps: Caps,
    ) -> None:
        self._caps = caps
        self._held = contextlib.ExitStack()
        self._socket = socket
        self._schema = schema
        self._context = context
        self._verifier = verifier
        self._initialised = False
        self._acknowledged = False
        self._operations: dict[str, asyncio.Task[None]] = {}
        self._received_at_s: list[float] = []

    async def run(self) -> None:
        """Serve until either side closes. Nothing that a client sends raises out of here."""
        try:
            with self._held:
                await self._serve()
        except* WebSocketDisconnect:
            pass
        except* _Closed as closed:
            await self._close(closed)
        except* RuntimeError as group:
            # Starlette's word for sending to a socket that has gone meanwhile.
            _log.debug("socket went while it was written to", error=str(group.exceptions[0]))

    async def _serve(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(self._await_init())
            try:
                await self._read(tasks)
            finally:
                waiting.cancel()
                for operation in self._operations.values():
                    operation.cancel()

    async def _close(self, group: BaseExceptionGroup[_Closed]) -> None:
        closed = group.exceptions[0]
        while isinstance(closed, BaseExceptionGroup):
            closed = closed.exceptions[0]
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):
            await self._socket.close(closed.code, close_reason(closed.reason))

    async def _await_init(self) -> None:
        await asyncio.sleep(INIT_TIMEOUT_S)
        if not self._initialised:
            raise _Closed(4408, "Connection initialisation timeout")

    async def _read(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            text = await self._receive()
            self._count_message()
            try:
                message = read_message(text)
            except InvalidMessageError as error:
                raise _Closed(4400, str(error)) from None
            match message:
                case Init():
                    await self._init(message, tasks)
                case Ping(payload):
                    await self._send_signal("pong", payload)
                case Subscribe():
                    self._subscribe(message, tasks)
                case Complete(operation_id):
                    if operation := self._operations.pop(operation_id, None):
                        operation.cancel()
                case _:
                    pass

    async def _receive(self) -> str:
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        text = message.get("text")
        if text is None:
            raise _Closed(4400, "Invalid message: messages are text")
        return text

    def _count_message(self) -> None:
        now_s = time.monotonic()
        since_s = now_s - MESSAGES_WINDOW_S
        self._received_at_s = [at_s for at_s in self._received_at_s if at_s > since_s]
        self._received_at_s.append(now_s)
        if len(self._received_at_s) > MAX_MESSAGES:
            raise _Closed(1008, f"More than {MAX_MESSAGES} messages in {MESSAGES_WINDOW_S:g} s")

    async def _init(self, message: Init, tasks: asyncio.TaskGroup) -> None:
        if self._initialised:
            raise _Closed(4429, "Too many initialisation requests")
        self._initialised = True
        request = self._context.request
        token = token_of_payload(message.payload)
        await apply_token(self._verifier, self._context.app, request, token)
        if request.refusal is not None:
            raise _Closed(4403, f"Forbidden: {request.refusal.message}")
        if request.viewer is not None:
            try:
                self._held.enter_context(self._caps.hold("user", request.viewer.user_id))
            except TooManySocketsError as error:
                raise _Closed(TRY_AGAIN_LATER, str(error)) from None
        await self._send({"type": "connection_ack"})
        self._acknowledged = True
        if request.viewer is not None:
            tasks.create_task(self._expire(request.viewer.expires_at_s))
            tasks.create_task(self._revoke(request.viewer))

    async def _expire(self, expires_at_s: float) -> None:
        await asyncio.sleep(max(0.0, expires_at_s - time.time()))
        await self._forbid("the token has expired")

    async def _revoke(self, viewer: Viewer) -> None:
        await self._context.app.revocations.wait(viewer)
        await self._forbid("the token was revoked")

    async def _forbid(self, reason: str) -> NoReturn:
        """Tell every operation, then close with 4403: clients come back with a new token."""
        text = f"{reason.capitalize()}."
        error = {"message": text, "extensions": {"code": "UNAUTHENTICATED"}}
        for operation_id in list(self._operations):
            await self._end(operation_id, {"type": "error", "payload": [error]})
        raise _Closed(4403, f"Forbidden: {reason}")

    def _subscribe(self, message: Subscribe, tasks: asyncio.TaskGroup) -> None:
        if not self._acknowledged:
            raise _Closed(4401, "Unauthorized")
        if message.id in self._operations:
            raise _Closed(4409, f"Subscriber for {message.id} already exists")
        run = self._refuse if len(self._operations) >= MAX_OPERATIONS else self._operate
        self._operations[message.id] = tasks.create_task(run(message.id, message.payload))

    async def _refuse(self, operation_id: str, _operation: Operation) -> None:
        text = f"{MAX_OPERATIONS} operations at once are allowed on a socket. Complete some."
        error = {"message": text, "extensions": {"code": "TOO_MANY_OPERATIONS"}}
        await self._end(operation_id, {"type": "error", "payload": [error]})

    async def _operate(self, operation_id: str, operation: Operation) -> None:
        """Run an operation of any kind; it ends with complete, or error before its first result."""
        try:
            results = await self._schema.stream(
                operation.query,
                variable_values=operation.variables,
                context_value=self._context,
                operation_name=operation.operation_name,
                operation_extensions=operation.extensions,
            )
            async with contextlib.aclosing(results):
                async for result in results:
                    if isinstance(result, PreExecutionError):
                        payload = [error.formatted for error in result.errors or ()]
                        await self._end(operation_id, {"type": "error", "payload": payload})
                        return
                    await self._send_next(operation_id, result)
        except (CannotGetOperationTypeError, GraphQLError) as error:
            payload = [{"message": str(error) or "Name an operation of the document."}]
            await self._end(operation_id, {"type": "error", "payload": payload})
            return
        await self._end(operation_id, {"type": "complete"})

    async def _send_next(self, operation_id: str, result: Any) -> None:
        payload: dict[str, Any] = {"data": result.data}
        if result.errors:
            payload["errors"] = [error.formatted for error in result.errors]
        if result.extensions:
            payload["extensions"] = result.extensions
        await self._send({"id": operation_id, "type": "next", "payload": payload})

    async def _end(self, operation_id: str, message: dict[str, Any]) -> None:
        """The last message of an operation; afterwards its id is free again."""
        if self._operations.pop(operation_id, None) is not None:
            await self._send({"id": operation_id, **message})

    async def _send_signal(self, kind: str, payload: dict[str, Any] | None) -> None:
        await self._send({"type": kind} if payload is None else {"type": kind, "payload": payload})

    async def _send(self, message: dict[str, Any]) -> None:
        await self._socket.send_text(msgspec.json.encode(message).decode())
