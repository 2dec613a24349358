"""Documents, parsed, measured and validated once: clients send the same few again and again.

Strawberry validates on every request (2.4 of 3.0 ms); its own cache hashes the whole document tree
on every request. This one is keyed by the text.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

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

from transport.limits import MAX_CHARS, MAX_TOKENS, check_limits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graphql import DocumentNode, GraphQLSchema

MAX_KEPT = 512


@dataclass(frozen=True, slots=True)
class Checked:
    """A document, or why it cannot be executed."""

    document: DocumentNode | None
    errors: tuple[GraphQLError, ...]
    operation_count: int = 0


class Documents:
    """The documents that were seen last. `introspection`: whether the schema can be asked for."""

    def __init__(self, schema: GraphQLSchema, *, introspection: bool) -> None:
        self._schema = schema
        self._rules = list(specified_rules)
        if not introspection:
            self._rules.append(NoSchemaIntrospectionCustomRule)
        self._kept: OrderedDict[str, Checked] = OrderedDict()

    def check(self, text: str) -> Checked:
        """The checked document of this text."""
        if known := self._kept.get(text):
            self._kept.move_to_end(text)
            return known
        checked = self._check(text)
        self._kept[text] = checked
        if len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)
        return checked

    def _check(self, text: str) -> Checked:
        if len(text) > MAX_CHARS:
            error = GraphQLError(
                f"The document has {len(text)} characters; {MAX_CHARS} are allowed.",
                extensions={"code": "DOCUMENT_TOO_LARGE"},
            )
            return Checked(None, (error,))
        try:
            document = parse(text, max_tokens=MAX_TOKENS)
            errors = check_limits(document) or validate(
                self._schema, document, self._rules, max_errors=10
            )
        except GraphQLSyntaxError as error:
            return Checked(None, (error,))
        except RecursionError:
            return Checked(None, (GraphQLError("The document is nested too deeply."),))
        operations = sum(isinstance(d, OperationDefinitionNode) for d in document.definitions)
        return Checked(document, tuple(errors), operations)


class CheckedDocuments(SchemaExtension):
    """Makes Strawberry take its documents from `documents` instead of checking them itself."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def on_parse(self) -> Iterator[None]:
        """Hand over the parsed document. Raises GraphQLError where there is none."""
        context = self.execution_context
        checked = self._documents.check(context.query or "")
        if checked.document is None:
            raise checked.errors[0]
        context.graphql_document = checked.document
        errors = list(checked.errors)
        # `operation_name` is the first operation's where none was given.
        named = context._provided_operation_name  # pyright: ignore[reportPrivateUsage]
        if not errors and checked.operation_count != 1 and not named:
            errors = [GraphQLError("Name one of the document's operations in `operationName`.")]
        self._errors = errors
        yield

    def on_validate(self) -> Iterator[None]:
        """Hand over what validation said."""
        self.execution_context.pre_execution_errors = self._errors
        yield
