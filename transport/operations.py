"""One operation of a request, whichever transport it came by: its document, then its result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graphql import GraphQLError
from strawberry.types import ExecutionResult

from core.errors import DeadlineExceeded
from transport.compiled.answers import LeftToCoreError
from transport.context import context_of
from transport.deadline import in_time

if TYPE_CHECKING:
    import strawberry

    from resolvers.context import App, Request
    from schema.context import Context
    from transport.compiled.answers import Answer as CompiledAnswer
    from transport.compiled.plans import Plans
    from transport.documents import Checked, Documents
    from transport.parameters import Parameters
    from transport.persisted import PersistedDocuments


@dataclass(frozen=True, slots=True)
class Operations:
    """What it takes to execute operations; one per process.

    Attributes:
        schema: with checked documents and masked errors.
        documents: the documents that it takes.
        persisted: those that can be named by id.
        timeout_s: how long a query or mutation may take.
        plans: what operations were compiled to; None: all are executed, each with its span.
    """

    schema: strawberry.Schema
    documents: Documents
    persisted: PersistedDocuments
    timeout_s: float
    plans: Plans | None

    async def resolve(self, asked: Parameters, app: App) -> str:
        """The text of the document that is meant. Raises GraphQLError."""
        return await self.persisted.resolve(
            app.redis,
            query=asked.query,
            document_id=asked.document_id,
            extensions=asked.extensions,
        )

    def compiled(self, text: str, asked: Parameters, checked: Checked) -> CompiledAnswer | None:
        """The answer to an operation without errors, if it is compiled."""
        tells_cost = asked.extensions is not None and asked.extensions.get("cost")
        if self.plans is None or checked.document is None or checked.errors or tells_cost:
            return None
        return self.plans.find(text, checked.document, asked)

    async def get(
        self, answer: CompiledAnswer, app: App, request: Request
    ) -> bytes | ExecutionResult:
        """`{"data": …}`, or a result with errors. Raises LeftToCoreError."""
        try:
            return await in_time(answer.get(app, request), self.timeout_s)
        except DeadlineExceeded as error:
            return refused(GraphQLError(error.message, extensions=error.extensions))

    async def run(
        self,
        text: str,
        asked: Parameters,
        checked: Checked,
        app: App,
        request: Request,
        left: LeftToCoreError | None = None,
    ) -> bytes | ExecutionResult:
        """The answer to a query or mutation without errors, compiled or not: as that of `get`.

        `left`: why it is graphql-core's, where that was found out before.
        """
        if left is None:
            try:
                if answer := self.compiled(text, asked, checked):
                    return await self.get(answer, app, request)
            except LeftToCoreError as error:
                left = error
        context = context_of(app, request)
        # What was done is not done again.
        context.admitted = left and left.admitted
        return await self.execute(text, asked, context)

    async def execute(self, text: str, asked: Parameters, context: Context) -> ExecutionResult:
        """graphql-core's result of a query or mutation without errors."""
        try:
            executing = self.schema.execute(
                text,
                variable_values=asked.variables,
                context_value=context,
                operation_name=asked.operation_name,
                operation_extensions=asked.extensions,
            )
            return await in_time(executing, self.timeout_s)
        except DeadlineExceeded as error:
            return refused(GraphQLError(error.message, extensions=error.extensions))


@dataclass(frozen=True, slots=True)
class Answer:
    """A result as transports send it.

    Attributes:
        body: `data`, `errors` and `extensions`, those that there are.
        errors: formatted.
        was_executed: whether execution began; if not, the request itself was refused.
    """

    body: dict[str, Any]
    errors: list[dict[str, Any]]
    was_executed: bool


def answer_of(result: ExecutionResult) -> Answer:
    """The result of a query or mutation as transports send it."""
    errors: list[dict[str, Any]] = [dict(error.formatted) for error in result.errors or ()]
    was_executed = result.data is not None or any("path" in error for error in errors)
    body: dict[str, Any] = {"data": result.data} if was_executed or not errors else {}
    if errors:
        body["errors"] = errors
    if result.extensions:
        body["extensions"] = result.extensions
    return Answer(body, errors, was_executed)


def refused(*errors: GraphQLError) -> ExecutionResult:
    """The result of an operation that has none."""
    return ExecutionResult(data=None, errors=list(errors))
