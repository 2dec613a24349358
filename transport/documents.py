"""Documents, parsed, measured and validated once: clients send the same few again and again.

Strawberry validates on every request (2.4 of 3.0 ms); its own cache hashes the whole document tree
on every request. This one is keyed by the text.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graphql import (
    GraphQLError,
    GraphQLSyntaxError,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    parse,
    specified_rules,
    validate,
)
from strawberry.extensions import SchemaExtension

from transport.cost import KeptCosts, Prices
from transport.limits import MAX_CHARS, MAX_TOKENS, check_limits, check_lists

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from graphql import DocumentNode, GraphQLSchema, OperationType

MAX_KEPT_BYTES = 64 * 2**20
"""Of memory, for documents: some 400 of the page's, or 100 of the largest."""
BYTES_PER_TOKEN = 300
"""Of a parsed document, as tracemalloc counts."""


@dataclass(frozen=True, slots=True)
class Checked:
    """One operation of a document, or why it cannot be executed. `cost` is 0 where unknown."""

    document: DocumentNode | None
    errors: Sequence[GraphQLError]
    operation: OperationDefinitionNode | None = None
    cost: int = 0

    @property
    def kind(self) -> OperationType | None:
        """Query, mutation or subscription; None only where there are errors."""
        return self.operation and self.operation.operation


class _Known:
    """A document that was seen: parsed and measured, and validated when that is first needed."""

    def __init__(
        self,
        document: DocumentNode | None,
        errors: Sequence[GraphQLError],
        costs: KeptCosts | None = None,
    ) -> None:
        self.document = document
        self.costs = costs
        self.errors = errors
        self.is_validated = bool(errors)

    def operation(self, name: str | None) -> OperationDefinitionNode | None:
        """The operation with this name, or the only one."""
        definitions = self.document.definitions if self.document else ()
        operations = [one for one in definitions if isinstance(one, OperationDefinitionNode)]
        if name:
            operations = [one for one in operations if one.name and one.name.value == name]
        return operations[0] if len(operations) == 1 else None


_NOT_ALLOWED = _Known(
    None,
    (
        # Apollo's code for the same.
        GraphQLError(
            "Only registered documents are executed here.",
            extensions={"code": "QUERY_NOT_IN_SAFELIST"},
        ),
    ),
)


class Documents:
    """The documents that were seen last.

    Args:
        schema: what documents are checked against.
        introspection: whether the schema can be asked for.
        max_cost: what one operation may cost.
        allowed: texts of all documents that may be executed; None: any.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        *,
        introspection: bool,
        max_cost: int,
        allowed: frozenset[str] | None = None,
    ) -> None:
        self._schema = schema
        self._allowed = allowed
        self._prices = Prices(schema)
        self.max_cost = max_cost
        self._rules = list(specified_rules)
        if not introspection:
            self._rules.append(NoSchemaIntrospectionCustomRule)
        self._kept: OrderedDict[str, _Known] = OrderedDict()
        self._kept_bytes = 0

    def check(
        self, text: str, operation_name: str | None, variables: Mapping[str, Any] | None
    ) -> Checked:
        """The checked document of this text, with one of its operations."""
        known = self._known(text)
        operation = known.operation(operation_name)
        if known.document is None or known.costs is None or known.errors:
            return Checked(known.document, known.errors, operation)
        cost = known.costs.of(operation, variables) if operation else 0
        # What is too large or too expensive is not worth a validation.
        errors = check_lists(variables) or self._check_cost(cost) or self._validate(known)
        if not errors and operation is None:
            message = "Name one of the document's operations in `operationName`."
            errors = [GraphQLError(message, extensions={"code": "BAD_REQUEST"})]
        return Checked(known.document, errors, operation, cost)

    def is_valid(self, text: str) -> bool:
        """Whether this is a document of ours, whichever of its operations is meant."""
        known = self._known(text)
        return not self._validate(known)

    def _known(self, text: str) -> _Known:
        if known := self._kept.get(text):
            self._kept.move_to_end(text)
            return known
        if self._allowed is not None and text not in self._allowed:
            return _NOT_ALLOWED
        if len(text) > MAX_CHARS:
            return _too_long(text)
        known = self._kept[text] = _read(text, self._prices)
        self._kept_bytes += _weight(text, known)
        while self._kept_bytes > MAX_KEPT_BYTES:
            self._kept_bytes -= _weight(*self._kept.popitem(last=False))
        return known

    def _validate(self, known: _Known) -> Sequence[GraphQLError]:
        if not known.is_validated and known.document:
            known.errors = validate(self._schema, known.document, self._rules, max_errors=10)
            known.is_validated = True
        return known.errors

    def _check_cost(self, cost: int) -> list[GraphQLError]:
        if cost <= self.max_cost:
            return []
        return [
            GraphQLError(
                f"The operation costs {cost}; {self.max_cost} are allowed. Ask for fewer items, or"
                " for less of each.",
                extensions={"code": "MAX_COST_EXCEEDED", "cost": cost, "limit": self.max_cost},
            )
        ]


def _weight(text: str, known: _Known) -> int:
    """How much memory a document takes, bytes."""
    tokens = known.document.token_count if known.document else 0
    return 4 * len(text) + BYTES_PER_TOKEN * (tokens + 10)


def _too_long(text: str) -> _Known:
    error = GraphQLError(
        f"The document has {len(text)} characters; {MAX_CHARS} are allowed.",
        extensions={"code": "DOCUMENT_TOO_LARGE"},
    )
    return _Known(None, (error,))


def _read(text: str, prices: Prices) -> _Known:
    try:
        document = parse(text, max_tokens=MAX_TOKENS)
        return _Known(document, check_limits(document), KeptCosts(prices, document))
    except GraphQLSyntaxError as error:
        return _Known(None, (error,))
    except RecursionError:
        return _Known(None, (GraphQLError("The document is nested too deeply."),))


class CheckedDocuments(SchemaExtension):
    """Makes Strawberry take its documents from `documents` instead of checking them itself."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._checked = Checked(None, ())

    def on_parse(self) -> Iterator[None]:
        """Hand over the parsed document. Raises GraphQLError where there is none."""
        context = self.execution_context
        # `operation_name` is the first operation's where none was given.
        named = context._provided_operation_name  # pyright: ignore[reportPrivateUsage]
        self._checked = self._documents.check(context.query or "", named, context.variables)
        if self._checked.document is None:
            raise self._checked.errors[0]
        context.graphql_document = self._checked.document
        yield

    def on_validate(self) -> Iterator[None]:
        """Hand over what validation said."""
        self.execution_context.pre_execution_errors = list(self._checked.errors)
        yield

    def get_results(self) -> dict[str, Any]:
        """The entry `cost` of the answer's extensions, where the request's ask for it."""
        if not (self.execution_context.operation_extensions or {}).get("cost"):
            return {}
        limit = self._documents.max_cost
        return {"cost": {"requested": self._checked.cost, "limit": limit}}
