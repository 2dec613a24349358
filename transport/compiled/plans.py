"""The operations that clients send again and again, each compiled once: `Plans.find`.

graphql-core and Strawberry take some 400 µs for an operation that reads one job, a plan 20. What is
not compiled is left to them as a whole; both give the same bytes, and a property test with
generated documents holds them against each other.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, cast

from graphql import (
    DirectiveNode,
    GraphQLError,
    OperationType,
    VariableNode,
    Visitor,
    get_operation_ast,
    get_variable_values,
    visit,
)

from transport.compiled.answers import MutationAnswer, QueryAnswer
from transport.compiled.arguments import arguments_of
from transport.compiled.selection import SelectionCompiler
from transport.execution import build_execution, core_schema
from transport.projection import NotFlatError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import strawberry
    from graphql import DocumentNode, GraphQLObjectType, OperationDefinitionNode

    from transport.compiled.answers import Answer
    from transport.compiled.selection import Root
    from transport.parameters import Parameters

    Begin = Callable[[Any], Answer | None]
    """From coerced variables to an answer that can be asked for."""

MOST = 512
"""Operations that are remembered, with plans of some 50 KB; those that were asked for last."""
MOST_VARIANTS = 8
"""Plans of one operation, by the variables that its directives depend on."""


class Plans:
    """What the operations of one schema were compiled to."""

    def __init__(self, schema: strawberry.Schema) -> None:
        self._schema = schema
        self._kept: OrderedDict[tuple[str, str | None], _Operation | None] = OrderedDict()

    def find(self, text: str, document: DocumentNode, asked: Parameters) -> Answer | None:
        """The answer to an operation, ready to be read; None if it is graphql-core's.

        `document` is that text's and was found valid. An operation is compiled when it is asked for
        a second time: most that come once come from whoever writes a new one with each request.
        """
        key = text, asked.operation_name
        if key not in self._kept:
            self._keep(key, None)
            return None
        self._kept.move_to_end(key)
        kept = self._kept[key]
        if kept is None:
            kept = self._kept[key] = _Operation(self._schema, document, asked.operation_name)
        return kept.answer(asked.variables or {})

    def _keep(self, key: tuple[str, str | None], kept: _Operation | None) -> None:
        self._kept[key] = kept
        if len(self._kept) > MOST:
            self._kept.popitem(last=False)


class _Operation:
    """One operation of a document, compiled for each way in which its directives can fall out."""

    def __init__(
        self, schema: strawberry.Schema, document: DocumentNode, operation_name: str | None
    ) -> None:
        self._schema = schema
        self._core = core_schema(schema)
        self._document = document
        self._operation_name = operation_name
        self._operation = get_operation_ast(document, operation_name)
        self._deciding = _variables_of_directives(document)
        self._variants: dict[object, Begin | None] = {}

    def answer(self, given: Mapping[str, Any]) -> Answer | None:
        """The answer for these variables; None if it is graphql-core's."""
        if self._operation is None:
            return None
        definitions = self._operation.variable_definitions or ()
        variables = get_variable_values(self._core, definitions, cast("Any", given))
        if isinstance(variables, list):
            return None
        variant = tuple(variables.coerced.get(name) for name in self._deciding)
        if variant not in self._variants:
            if len(self._variants) >= MOST_VARIANTS:
                return None
            self._variants[variant] = self._compile(self._operation, given)
        begin = self._variants[variant]
        try:
            return begin and begin(variables)
        except GraphQLError:
            # Arguments that do not fit, as only variables can tell.
            return None

    def _compile(
        self, operation: OperationDefinitionNode, given: Mapping[str, Any]
    ) -> Begin | None:
        built = build_execution(
            self._schema, self._document, given, self._operation_name, context=None
        )
        if isinstance(built, list):
            return None
        compiler = SelectionCompiler(self._core, built.fragments, built.variables, operation)
        try:
            if operation.operation is OperationType.QUERY:
                return self._query(compiler)
            return self._mutation(compiler, operation)
        except NotFlatError:
            return None

    def _query(self, compiler: SelectionCompiler) -> Begin:
        kind = cast("GraphQLObjectType", self._core.query_type)
        roots, write = compiler.query(kind)
        takes = [(root.key, _arguments(kind, root)) for root in roots]
        return lambda variables: QueryAnswer(write, {key: take(variables) for key, take in takes})

    def _mutation(self, compiler: SelectionCompiler, operation: OperationDefinitionNode) -> Begin:
        kind = cast("GraphQLObjectType", self._core.mutation_type)
        root, members = compiler.mutation(kind)
        take = _arguments(kind, root)
        name = operation.name.value if operation.name else None
        return lambda variables: MutationAnswer(root, members, take(variables), name)


def _arguments(kind: GraphQLObjectType, root: Root) -> Callable[[Any], dict[str, Any]]:
    return arguments_of(kind.fields[root.name], root.nodes[0])


class _DirectiveVariables(Visitor):
    """Collects the variables that directives depend on."""

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[str, None] = {}

    def enter_directive(self, node: DirectiveNode, *_: object) -> None:
        """Look at a directive's arguments."""
        for argument in node.arguments or ():
            if isinstance(argument.value, VariableNode):
                self.names[argument.value.name.value] = None


def _variables_of_directives(document: DocumentNode) -> tuple[str, ...]:
    visitor = _DirectiveVariables()
    visit(document, visitor)
    return tuple(visitor.names)
