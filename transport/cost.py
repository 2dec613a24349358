"""What an operation costs, told from its document and variables before anything is executed.

After IBM's cost specification: every object costs 1, scalars nothing, and a field what its `@cost`
says; `@listSize` says how often a list's items count (schema/costs.py). Each fragment is counted
once, as two numbers: its cost, and its cost per item of the list that it may be a part of. So the
count is linear in the document, however often fragments are spread.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLInterfaceType,
    GraphQLObjectType,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    NullValueNode,
    OperationType,
    VariableNode,
    is_composite_type,
)

from schema.costs import Cost, ListSize
from transport.limits import MAX_ITEMS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from graphql import (
        DocumentNode,
        GraphQLField,
        GraphQLSchema,
        OperationDefinitionNode,
        SelectionSetNode,
    )

T = TypeVar("T")
INTROSPECTION_COST = 100
"""Of `__schema` and `__type`, whatever is asked of them: validation bounds their depth."""
MAX_KEPT_COSTS = 200
"""Of one document: a page's size has a hundred values."""


class _Parts(NamedTuple):
    """The cost of a selection: once, and per item of the list that its parent holds."""

    once: int = 0
    per_item: int = 0


@dataclass(frozen=True, slots=True)
class Price:
    """What one field costs: its call, the objects that it answers with, and how many those are."""

    type_name: str
    call: int = 0
    each: int = 0
    assumed_size: int = 1
    slicing: Mapping[str, object] = field(default_factory=dict[str, object])
    """Arguments that say how many, with their defaults."""
    sizes_children: bool = False
    """The items are in its sized fields, not in the field itself."""
    sized_by_parent: bool = False


class Prices:
    """The prices of a schema's fields. Raises ValueError for a list whose size nobody tells."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._roots = {
            kind: root.name for kind in OperationType if (root := schema.get_root_type(kind))
        }
        types = [
            one
            for one in schema.type_map.values()
            if isinstance(one, GraphQLObjectType | GraphQLInterfaceType)
            and not one.name.startswith("__")
        ]
        sized = {
            (_name(field), name)
            for one in types
            for field in one.fields.values()
            for size in _directives(field, ListSize)
            for name in size.sized_fields or ()
        }
        self.fields = {
            (one.name, name): _price(
                f"{one.name}.{name}",
                field,
                is_object=is_composite_type(schema.type_map.get(_name(field))),
                sized_by_parent=(one.name, name) in sized,
            )
            for one in types
            for name, field in one.fields.items()
        }

    def of(
        self,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        variables: Mapping[str, Any] | None,
    ) -> tuple[int, frozenset[str]]:
        """What an operation costs, and the variables that this depends on.

        Unknown names cost nothing: validation refuses them.
        """
        root = self._roots.get(operation.operation, "")
        counting = _Counting(self.fields, document, _given(operation, variables or {}))
        return counting.of(operation.selection_set, root).once, frozenset(counting.used)


class KeptCosts:
    """The costs of one document's operations: counted once for each size of their lists."""

    def __init__(self, prices: Prices, document: DocumentNode) -> None:
        self._prices = prices
        self._document = document
        self._used: dict[int, frozenset[str]] = {}
        self._costs: dict[object, int] = {}

    def of(self, operation: OperationDefinitionNode, variables: Mapping[str, Any] | None) -> int:
        """What an operation of the document costs."""
        key = self._key(operation, variables or {})
        if key is None or key not in self._costs:
            cost, self._used[id(operation)] = self._prices.of(self._document, operation, variables)
            if len(self._costs) >= MAX_KEPT_COSTS:
                self._costs.clear()
            self._costs[self._key(operation, variables or {})] = cost
            return cost
        return self._costs[key]

    def _key(
        self, operation: OperationDefinitionNode, variables: Mapping[str, Any]
    ) -> object | None:
        used = self._used.get(id(operation))
        if used is None:
            return None
        sizes = [(name, _key_of(variables[name])) for name in used if name in variables]
        return id(operation), tuple(sizes)


def _key_of(value: object) -> object:
    """Equal for values that stand for as many items."""
    if isinstance(value, list):
        return "list", len(cast("list[object]", value))
    return value if isinstance(value, int | float) else type(value)


def _directives(field: GraphQLField, kind: type[T]) -> list[T]:
    definition = field.extensions.get("strawberry-definition")
    return [one for one in getattr(definition, "directives", ()) if isinstance(one, kind)]


def _name(field: GraphQLField) -> str:
    """The name of the field's type, whatever list of it the field is."""
    return _spelled(field).strip("[]!")


def _spelled(field: GraphQLField) -> str:
    # graphql-core's types do not tell what a list is of.
    return str(cast("Any", field).type)


def _price(where: str, field: GraphQLField, *, is_object: bool, sized_by_parent: bool) -> Price:
    size = next(iter(_directives(field, ListSize)), ListSize())
    slicing = {name: field.args[name].default_value for name in size.slicing_arguments or ()}
    if (
        is_object
        and _spelled(field).startswith("[")
        and not (sized_by_parent or slicing or size.assumed_size)
    ):
        raise ValueError(f"{where} is a list: @listSize must tell how long it gets")
    return Price(
        type_name=_name(field),
        call=sum(int(cost.weight) for cost in _directives(field, Cost)),
        each=1 if is_object else 0,
        assumed_size=size.assumed_size or 1,
        slicing=slicing,
        sizes_children=bool(size.sized_fields),
        sized_by_parent=sized_by_parent,
    )


def _given(operation: OperationDefinitionNode, variables: Mapping[str, Any]) -> dict[str, object]:
    """The variables' values, or else their defaults as the document has them."""
    given: dict[str, object] = {}
    for definition in operation.variable_definitions or ():
        name = definition.variable.name.value
        given[name] = variables.get(name, definition.default_value)
    return given


class _Counting:
    """One pass over one operation; the costs of fragments are kept."""

    def __init__(
        self,
        prices: Mapping[tuple[str, str], Price],
        document: DocumentNode,
        variables: Mapping[str, object],
    ) -> None:
        self._prices = prices
        self._variables = variables
        self.used: set[str] = set()
        self._fragments = {
            one.name.value: one
            for one in document.definitions
            if isinstance(one, FragmentDefinitionNode)
        }
        self._known: dict[str, _Parts] = {}

    def of(self, selection_set: SelectionSetNode, type_name: str) -> _Parts:
        once = per_item = 0
        for selection in selection_set.selections:
            if isinstance(selection, FieldNode):
                part = self._of_field(selection, type_name)
            elif isinstance(selection, InlineFragmentNode):
                condition = selection.type_condition
                name = condition.name.value if condition else type_name
                part = self.of(selection.selection_set, name)
            elif isinstance(selection, FragmentSpreadNode):
                part = self._of_fragment(selection.name.value)
            else:
                continue
            once += part.once
            per_item += part.per_item
        return _Parts(once, per_item)

    def _of_fragment(self, name: str) -> _Parts:
        if name not in self._known:
            # Validation says that it is unknown, or that it contains itself.
            self._known[name] = _Parts()
            if fragment := self._fragments.get(name):
                condition = fragment.type_condition.name.value
                self._known[name] = self.of(fragment.selection_set, condition)
        return self._known[name]

    def _of_field(self, node: FieldNode, type_name: str) -> _Parts:
        name = node.name.value
        price = self._prices.get((type_name, name))
        if price is None:
            return _Parts(INTROSPECTION_COST if name in ("__schema", "__type") else 0)
        inner = self.of(node.selection_set, price.type_name) if node.selection_set else _Parts()
        size = self._size(node, price)
        if price.sizes_children:
            return _Parts(price.call + price.each + inner.once + size * inner.per_item)
        cost = price.call + size * (price.each + inner.once + inner.per_item)
        return _Parts(0, cost) if price.sized_by_parent else _Parts(cost)

    def _size(self, node: FieldNode, price: Price) -> int:
        if not price.slicing:
            return price.assumed_size
        given = {argument.name.value: argument.value for argument in node.arguments or ()}
        return max(self._items(given.get(name), price.slicing[name]) for name in price.slicing)

    def _items(self, node: object, default: object) -> int:
        """How many items a value stands for: a number, or a list's length."""
        value = node
        if isinstance(node, VariableNode):
            self.used.add(node.name.value)
            value = self._variables.get(node.name.value)
        if isinstance(value, ListValueNode):
            value = len(value.values)
        elif isinstance(value, IntValueNode):
            value = float(value.value)
        elif isinstance(value, list):
            value = len(cast("list[object]", value))
        elif value is None or isinstance(value, NullValueNode):
            value = default
        # Anything else is one item, or no number: validation says so. More than the most is
        # refused by the field itself, which then costs nothing.
        return int(min(max(value, 0), MAX_ITEMS)) if isinstance(value, int | float) else 1
