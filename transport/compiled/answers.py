"""Answers to compiled operations: what is read or done for one, and how it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from graphql import located_error
from strawberry.types import ExecutionResult

from core.errors import MintariError, OperationError
from core.log import get_logger
from resolvers.answering import Answering
from schema.loaders import make_loaders
from transport.compiled.roots import MUTATIONS
from transport.compiled.selection import UnanswerableError
from transport.masking import mask

if TYPE_CHECKING:
    from collections.abc import Mapping

    from resolvers.admission import Admitted
    from resolvers.context import App, Request
    from transport.compiled.selection import Root, Write

_log = get_logger(__name__)


class LeftToCoreError(Exception):
    """The answer is graphql-core's. `admitted`: what a mutation has done already."""

    def __init__(self, admitted: Admitted | None = None) -> None:
        super().__init__()
        self.admitted = admitted


class Answer(Protocol):
    """An operation that was asked for."""

    async def get(self, app: App, request: Request) -> bytes | ExecutionResult:
        """`{"data": …}`, or the result of a mutation that failed. Raises LeftToCoreError."""
        ...


class QueryAnswer:
    """A query's; `given` are the arguments of its root fields, by their keys in the answer."""

    __slots__ = ("_given", "_write")

    def __init__(self, write: Write, given: Mapping[str, Mapping[str, Any]]) -> None:
        self._write = write
        self._given = given

    async def get(self, app: App, request: Request) -> bytes:
        """`{"data": …}`. Raises LeftToCoreError: it reads again, and says what is wrong."""
        try:
            return await _written(self._write, self._given, _facts(app, request))
        except Exception as error:
            raise _left(error) from error


class MutationAnswer:
    """A mutation's; what it does is done once, whoever writes the answer."""

    __slots__ = ("_given", "_members", "_operation_name", "_root")

    def __init__(
        self,
        root: Root,
        members: Mapping[str, Write],
        given: Mapping[str, Any],
        operation_name: str | None,
    ) -> None:
        self._root = root
        self._members = members
        self._given = given
        self._operation_name = operation_name

    async def get(self, app: App, request: Request) -> bytes | ExecutionResult:
        """`{"data": …}`, or the masked error. Raises LeftToCoreError."""
        mutation = MUTATIONS[self._root.name]
        try:
            admitted = await mutation.do(app, request, self._given)
        except OperationError as error:
            write = self._members.get(type(error).__name__)
            return write(error, _facts(app, request)) if write else self._failed(error)
        except Exception as error:
            return self._failed(error)
        facts = _facts(app, request)
        facts.know(admitted.generation, admitted.jobs)
        try:
            return await _written(self._members[mutation.success], admitted, facts)
        except Exception as error:
            raise _left(error, admitted) from error

    def _failed(self, error: Exception) -> ExecutionResult:
        located = located_error(error, self._root.nodes, [self._root.key])
        masked = mask(located, self._operation_name)
        return ExecutionResult(data=None, errors=[masked])


def _left(error: Exception, admitted: Admitted | None = None) -> LeftToCoreError:
    if not isinstance(error, MintariError | UnanswerableError):
        _log.info("left to graphql-core", error=type(error).__name__)
    return LeftToCoreError(admitted)


def _facts(app: App, request: Request) -> Answering:
    return Answering(app, request, lambda: make_loaders(app, request))


async def _written(write: Write, of: object, facts: Answering) -> bytes:
    while True:
        data = write(of, facts)
        if not facts.missing:
            return data
        await facts.read()
