"""One graphql-transport-ws connection: its states, its operations, its end."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from graphql import GraphQLError, OperationType

from core.errors import Unauthenticated
from resolvers.context import Request
from transport import frames
from transport.caps import TooManySocketsError
from transport.frames import Opcode
from transport.identity import apply_token, apply_viewer, token_of_payload
from transport.masking import told
from transport.membership import SocketMember
from transport.messages import (
    Complete,
    Init,
    InvalidMessageError,
    Ping,
    Subscribe,
    read_message,
)
from transport.operations import answer_of
from transport.pace import REFUSED, client_of
from transport.problem import error_of
from transport.subscriptions import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID

    from core.auth import Viewer
    from transport.documents import Checked
    from transport.groups import Result
    from transport.parameters import Parameters
    from transport.sockets import Sockets
    from transport.websocket import WebSocket

TRY_AGAIN_LATER = 1013
"""Registered at IANA for websockets; the graphql-ws client comes back after it."""
INIT_TIMEOUT_S = 10.0
MAX_OPERATIONS = 100
"""At once on one socket; a page has one or two."""
MAX_MESSAGES = 200
MESSAGES_WINDOW_S = 10.0
"""So many messages in so many seconds are no grid any more."""
MAX_HELD_BYTES = 256 * 1024
"""Newest states that wait for a client that does not read: some 300 frames."""


class Connection:
    """A socket that was accepted with the protocol. Nothing that a client sends raises here."""

    __slots__ = (
        "_count",
        "_expiry",
        "_held",
        "_is_acknowledged",
        "_is_initialised",
        "_operations",
        "_request",
        "_sockets",
        "_user",
        "_window_s",
        "socket",
    )

    def __init__(self, sockets: Sockets, socket: WebSocket) -> None:
        self._sockets = sockets
        self.socket = socket
        self._request = Request(viewer=None, remote_address=socket.address)
        self._is_initialised = False
        self._is_acknowledged = False
        self._operations: dict[str, SocketMember | asyncio.Task[None]] = {}
        self._held: dict[tuple[SocketMember, UUID], bytes] = {}
        self._count, self._window_s = 0, time.monotonic()
        self._user: str | None = None
        loop = asyncio.get_running_loop()
        self._expiry = loop.call_later(INIT_TIMEOUT_S, self._time_out)

    # --- what the socket calls ---

    def on_text(self, data: bytes) -> None:
        """Take a message."""
        if not self._is_in_rate():
            self._reject(1008, f"More than {MAX_MESSAGES} messages in {MESSAGES_WINDOW_S:g} s")
            return
        try:
            message = read_message(data)
        except InvalidMessageError as error:
            self._reject(4400, str(error))
            return
        match message:
            case Init():
                self._init(message)
            case Ping(payload):
                pong = {"type": "pong"} if payload is None else {"type": "pong", "payload": payload}
                self._send(pong)
            case Subscribe():
                self._subscribe(message)
            case Complete(operation_id):
                self._stop(self._operations.pop(operation_id, None))
            case _:
                pass

    def on_binary(self) -> None:
        """Messages are text."""
        self._reject(4400, "Invalid message: messages are text")

    def on_writable(self) -> None:
        """Send the newest states that had to wait."""
        held, self._held = self._held, {}
        ended: dict[SocketMember, None] = {}
        for (member, _), payload in held.items():
            self.socket.gather(frames.text(member.message(payload)))
            if member.has_ended:
                ended[member] = None
        for member in ended:
            self.complete(member)
        self.socket.resume_reading()

    def on_closed(self) -> None:
        """Leave everything."""
        self._expiry.cancel()
        operations, self._operations = self._operations, {}
        for operation in operations.values():
            self._stop(operation)
        self._held.clear()
        self._sockets.forget(self, self._request, self._user)

    # --- what members call ---

    def write(self, frame: bytes) -> None:
        """Send a frame; one change may be news for many operations: theirs are gathered."""
        if len(self._operations) < 2:
            self.socket.write(frame)
        else:
            self.socket.gather(frame)

    def hold(self, member: SocketMember, results: Sequence[Result]) -> None:
        """Keep the newest state of each job while the client does not read."""
        before = len(self._held)
        for job_id, payload in results:
            self._held[(member, job_id)] = payload
        replaced = before + len(results) - len(self._held)
        self._sockets.app.metrics.results_dropped.inc(replaced)
        if sum(map(len, self._held.values())) > MAX_HELD_BYTES:
            self.socket.close(TRY_AGAIN_LATER, "Too much is waiting to be read")

    def holds(self, member: SocketMember) -> bool:
        """Whether something of a member's waits to be sent."""
        return any(one is member for one, _ in self._held)

    def complete(self, member: SocketMember) -> None:
        """Tell that a subscription has ended."""
        self._end(member.operation_id)

    def fail(self, member: SocketMember, errors: list[dict[str, Any]]) -> None:
        """Tell that a subscription cannot go on."""
        self._end(member.operation_id, errors)

    # --- the life of the connection ---

    @property
    def viewer(self) -> Viewer | None:
        """Who is on the other side."""
        return self._request.viewer

    @property
    def operation_count(self) -> int:
        """How many operations there are."""
        return len(self._operations)

    def ping(self) -> None:
        """Ask for a sign of life; without one since the last ping, hang up."""
        if not self.socket.answered_ping:
            self.socket.abort()
            return
        self.socket.answered_ping = False
        self.socket.write(frames.ping())

    def forbid(self, reason: str) -> None:
        """Tell every operation, then close with 4403: clients come back with a new token."""
        error = error_of(f"{reason.capitalize()}.", Unauthenticated.code)
        for operation_id, operation in list(self._operations.items()):
            self._stop(operation)
            self._end(operation_id, [error])
        self.socket.close(4403, f"Forbidden: {reason}")

    def _reject(self, code: int, reason: str) -> None:
        """Hang up on who breaks the protocol."""
        self._count_refused()
        self.socket.close(code, reason)

    def _count_refused(self) -> None:
        self._sockets.pace.count(client_of(self._request), REFUSED)

    def _is_in_rate(self) -> bool:
        now_s = time.monotonic()
        if now_s - self._window_s >= MESSAGES_WINDOW_S:
            self._count, self._window_s = 0, now_s
        self._count += 1
        return self._count <= MAX_MESSAGES

    def _time_out(self) -> None:
        if self._is_initialised:
            self.forbid("the token has expired")
        else:
            self.socket.close(4408, "Connection initialisation timeout")

    def _init(self, message: Init) -> None:
        if self._is_initialised:
            self._reject(4429, "Too many initialisation requests")
            return
        self._is_initialised = True
        self._expiry.cancel()
        sockets, token = self._sockets, token_of_payload(message.payload)
        if token and (viewer := sockets.verifier.verified(token)):
            # Most who come back: they need no task.
            apply_viewer(sockets.app, self._request, viewer)
            self._acknowledge()
        else:
            sockets.start(partial(self._identify, token))

    async def _identify(self, token: str | None) -> None:
        await apply_token(self._sockets.verifier, self._sockets.app, self._request, token)
        self._acknowledge()

    def _acknowledge(self) -> None:
        """Let in who was identified, or nobody in particular."""
        sockets, request = self._sockets, self._request
        if request.refusal is not None:
            self.socket.close(4403, f"Forbidden: {request.refusal.message}")
            return
        if request.viewer is not None:
            try:
                sockets.identified(self, request.viewer.user_id)
            except TooManySocketsError as error:
                self.socket.close(TRY_AGAIN_LATER, str(error))
                return
            self._user = request.viewer.user_id
            left_s = max(0.0, request.viewer.expires_at_s - time.time())
            # In a context that all share: what this task has bound for the log would be kept.
            self._expiry = asyncio.get_running_loop().call_later(
                left_s, self._time_out, context=sockets.context
            )
        self._is_acknowledged = True
        self._send({"type": "connection_ack"})

    # --- operations ---

    def _subscribe(self, message: Subscribe) -> None:
        operation_id = message.id
        if not self._is_acknowledged:
            self._reject(4401, "Unauthorized")
        elif operation_id in self._operations:
            self._reject(4409, f"Subscriber for {operation_id} already exists")
        elif len(self._operations) >= MAX_OPERATIONS:
            self._say_too_many(operation_id, f"{MAX_OPERATIONS} operations at once on a socket")
        elif (most := self._sockets.most_operations(self._user)) is not None:
            self._say_too_many(operation_id, f"{most} operations at once")
        elif late := self._sockets.pass_by(client_of(self._request)):
            self._say(operation_id, [error_of(late.message, late.code, late.extensions)])
        else:
            self._operate(operation_id, message.payload)

    def _say_too_many(self, operation_id: str, allowed: str) -> None:
        text = f"{allowed} are allowed. Complete some."
        self._say(operation_id, [error_of(text, "TOO_MANY_OPERATIONS")])

    def _operate(self, operation_id: str, asked: Parameters) -> None:
        if asked.query and not asked.names_document:
            self._begin(operation_id, asked.query, asked)
        else:
            look_up = partial(self._look_up, operation_id, asked)
            self._operations[operation_id] = self._sockets.start(look_up, self.viewer)

    async def _look_up(self, operation_id: str, asked: Parameters) -> None:
        """Begin an operation whose document is named by an id."""
        try:
            text = await self._sockets.operations.resolve(asked, self._sockets.app)
        except GraphQLError as error:
            self._refuse(operation_id, asked, [error])
            return
        if self._operations.pop(operation_id, None) is not None:
            self._begin(operation_id, text, asked)

    def _begin(self, operation_id: str, text: str, asked: Parameters) -> None:
        checked = self._sockets.operations.documents.check(
            text, asked.operation_name, asked.variables
        )
        if checked.errors or checked.document is None:
            self._refuse(operation_id, asked, checked.errors)
            return
        if checked.kind is not OperationType.SUBSCRIPTION:
            run = partial(self._run, operation_id, text, asked, checked)
            self._operations[operation_id] = self._sockets.start(run, self.viewer)
            return
        member = SocketMember(self, operation_id)
        self._operations[operation_id] = member
        try:
            member.group = self._sockets.subscriptions.join(
                member,
                self._request,
                text=text,
                document=checked.document,
                operation_name=asked.operation_name,
                variables=asked.variables,
            )
        except RefusedError as refused:
            self.fail(member, refused.errors)

    def _refuse(self, operation_id: str, asked: Parameters, errors: Iterable[GraphQLError]) -> None:
        masked = [told(error, asked.operation_name) for error in errors]
        self._operations.pop(operation_id, None)
        self._count_refused()
        self._say(operation_id, masked)

    async def _run(self, operation_id: str, text: str, asked: Parameters, checked: Checked) -> None:
        """Run a query or mutation; it ends with complete, or error before its result."""
        sockets = self._sockets
        result = await sockets.operations.run(text, asked, checked, sockets.app, self._request)
        if isinstance(result, bytes):
            body = msgspec.Raw(result)
        else:
            answer = answer_of(result)
            if not answer.was_executed:
                self._end(operation_id, answer.errors)
                return
            body = answer.body
        if operation_id in self._operations:
            self._send({"id": operation_id, "type": "next", "payload": body})
        self._end(operation_id)

    def _stop(self, operation: SocketMember | asyncio.Task[None] | None) -> None:
        if isinstance(operation, SocketMember):
            operation.leave()
            for key in [key for key in self._held if key[0] is operation]:
                del self._held[key]
        elif operation is not None:
            operation.cancel()

    def _end(self, operation_id: str, errors: list[dict[str, Any]] | None = None) -> None:
        """The last message of an operation, if it has none yet; its id is free again."""
        if self._operations.pop(operation_id, None) is None:
            return
        if errors is None:
            self._send({"id": operation_id, "type": "complete"})
        else:
            self._say(operation_id, errors)

    def _say(self, operation_id: str, errors: list[dict[str, Any]]) -> None:
        """Tell why there is no operation, or no longer."""
        self._send({"id": operation_id, "type": "error", "payload": errors})

    def _send(self, message: dict[str, Any]) -> None:
        payload = msgspec.json.encode(message)
        self.write(frames.header(Opcode.TEXT, len(payload)) + payload)
        if self.socket.is_full:
            # No new questions before the answers are read.
            self.socket.pause_reading()
