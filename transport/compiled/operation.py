"""One operation of a document, compiled for each way in which its directives can fall out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast

from graphql import (
    DirectiveNode,
    OperationType,
    VariableNode,
    Visitor,
    visit,
)

from transport.compiled.answers import MutationAnswer, QueryAnswer
from transport.compiled.arguments import arguments_of
from transport.compiled.selection import SelectionCompiler
from transport.compiled.variables import UnusualError, coercer_of
from transport.execution import build_execution, core_schema
from transport.projection import Compiler, NotFlatError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import strawberry
    from graphql import DocumentNode, GraphQLObjectType, OperationDefinitionNode

    from transport.compiled.answers import Answer
    from transport.compiled.selection import Root
    from transport.compiled.variables import Variables
    from transport.projection import Projection

    Begin = Callable[[Variables], "Begun"]
    """From coerced variables to what can be asked for."""

MOST_VARIANTS = 8
"""Plans of one operation, by the variables that its directives depend on."""
BYTES_PER_FIELD = 500
"""Of a plan, as tracemalloc counts."""


class Followed(NamedTuple):
    """A subscription to jobs, whose ids are as the client gave them, and how each is shown."""

    job_ids: list[str]
    projection: Projection


Begun: TypeAlias = "Answer | Followed"
"""An operation with its variables: a query's or mutation's answer, or what is followed."""


class Operation:
    """An operation that is asked for again and again. `weight_bytes`: of its plans, in memory."""

    def __init__(
        self,
        schema: strawberry.Schema,
        document: DocumentNode,
        operation: OperationDefinitionNode,
    ) -> None:
        self._schema = schema
        self._core = core_schema(schema)
        self._document = document
        self._operation = operation
        self._name = operation.name.value if operation.name else None
        self._coerce = coercer_of(self._core, operation.variable_definitions or ())
        self._deciding = _variables_of_directives(document)
        self._variants: dict[object, Begin | None] = {}
        self.weight_bytes = 0

    def begin(self, given: Mapping[str, Any]) -> Begun | None:
        """The operation with these variables; None if it is graphql-core's."""
        variables = self._coerce(given)
        if variables is None:
            return None
        variant = tuple([variables.get(name) for name in self._deciding])
        if variant not in self._variants:
            if len(self._variants) >= MOST_VARIANTS:
                return None
            self._variants[variant] = self._compile(given)
        begin = self._variants[variant]
        try:
            return begin and begin(variables)
        except UnusualError:
            return None

    def _compile(self, given: Mapping[str, Any]) -> Begin | None:
        built = build_execution(self._schema, self._document, given, self._name, context=None)
        if isinstance(built, list):
            return None
        kind = self._operation.operation
        make = Compiler if kind is OperationType.SUBSCRIPTION else SelectionCompiler
        compiler = make(self._core, built.fragments, built.variables, self._operation)
        try:
            if not isinstance(compiler, SelectionCompiler):
                return self._subscription(compiler)
            return (self._query if kind is OperationType.QUERY else self._mutation)(compiler)
        except NotFlatError:
            return None
        finally:
            self.weight_bytes += BYTES_PER_FIELD * len(compiler.names)

    def _query(self, compiler: SelectionCompiler) -> Begin:
        kind = cast("GraphQLObjectType", self._core.query_type)
        roots, write = compiler.query(kind)
        takes = [(root.key, _arguments(kind, root)) for root in roots]
        return lambda variables: QueryAnswer(write, {key: take(variables) for key, take in takes})

    def _mutation(self, compiler: SelectionCompiler) -> Begin:
        kind = cast("GraphQLObjectType", self._core.mutation_type)
        root, members = compiler.mutation(kind)
        take = _arguments(kind, root)
        return lambda variables: MutationAnswer(root, members, take(variables), self._name)

    def _subscription(self, compiler: Compiler) -> Begin:
        kind = cast("GraphQLObjectType", self._core.subscription_type)
        node, projection = compiler.root(kind)
        take = arguments_of(kind.fields[node.name.value], node)
        return lambda variables: Followed(take(variables)["job_ids"], projection)


def _arguments(kind: GraphQLObjectType, root: Root) -> Callable[[Variables], dict[str, Any]]:
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
