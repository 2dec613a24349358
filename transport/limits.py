"""How large a document may be, found out in one pass before it is validated.

Validation itself can be attacked: graphql-core compares every two fields of the same name (1,000
repeats of one field, 9 kB, take 2.4 s), and depth counted by expanding fragments is exponential in
their number. So everything is counted here, each fragment once, in time linear in the document.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from graphql import ValueNode

MAX_CHARS = 32 * 1024
MAX_TOKENS = 2000
MAX_DEFINITIONS = 50
MAX_DEPTH = 15
"""The introspection query of GraphiQL has 13."""
MAX_ROOT_FIELDS = 20
MAX_ALIASES = 50
MAX_DIRECTIVES = 50
MAX_REPEATS = 20
"""Of one response name in one selection set, fragments included."""
MAX_FIELDS = 1000
"""After expansion of fragments."""
MAX_ITEMS = 100
"""Of any list that a client sends, and of any page that it asks for."""


@dataclass(slots=True)
class _Size:
    """What a selection set amounts to with its fragments expanded."""

    depth: int = 0
    fields: int = 0
    aliases: int = 0
    directives: int = 0
    names: Counter[str] = field(default_factory=Counter[str])

    def add(self, other: _Size, *, nested: bool) -> None:
        """Take in a part: one level deeper (`nested`), or a fragment on the same level."""
        self.depth = max(self.depth, other.depth + (1 if nested else 0))
        # Capped: nested fragments can expand to more than any number that matters.
        self.fields = min(self.fields + other.fields, MAX_FIELDS + 1)
        self.aliases = min(self.aliases + other.aliases, MAX_ALIASES + 1)
        self.directives = min(self.directives + other.directives, MAX_DIRECTIVES + 1)
        if not nested:
            self.names.update(other.names)


def check_limits(document: DocumentNode) -> list[GraphQLError]:
    """The limits that a document breaks, each as an error; empty if none."""
    if len(document.definitions) > MAX_DEFINITIONS:
        return [_error("definitions", len(document.definitions), MAX_DEFINITIONS)]
    return _Counting(document).errors()


class _Counting:
    """One pass over one document; sizes of fragments are kept."""

    def __init__(self, document: DocumentNode) -> None:
        self._operations = [
            one for one in document.definitions if isinstance(one, OperationDefinitionNode)
        ]
        self._fragments: Mapping[str, FragmentDefinitionNode] = {
            one.name.value: one
            for one in document.definitions
            if isinstance(one, FragmentDefinitionNode)
        }
        self._sizes: dict[str, _Size | None] = {}
        self._most_repeats = 0
        self._longest_list = 0

    def errors(self) -> list[GraphQLError]:
        """The limits that are broken."""
        errors: list[GraphQLError] = []
        for operation in self._operations:
            for variable in operation.variable_definitions or ():
                self._measure(variable.default_value)
            size = self._of(operation.selection_set)
            size.directives += len(operation.directives or ())
            counted = [
                ("levels of fields", size.depth, MAX_DEPTH),
                ("root fields", sum(size.names.values()), MAX_ROOT_FIELDS),
                ("fields", size.fields, MAX_FIELDS),
                ("aliases", size.aliases, MAX_ALIASES),
                ("directives", size.directives, MAX_DIRECTIVES),
            ]
            errors += [_error(*one) for one in counted if one[1] > one[2]]
        if self._most_repeats > MAX_REPEATS:
            errors.append(_error("repeats of one field", self._most_repeats, MAX_REPEATS))
        if self._longest_list > MAX_ITEMS:
            errors.append(_too_long(self._longest_list))
        return errors

    def _of(self, selection_set: SelectionSetNode) -> _Size:
        size = _Size()
        for selection in selection_set.selections:
            size.directives += len(selection.directives or ())
            if isinstance(selection, FieldNode):
                self._add_field(size, selection)
            elif isinstance(selection, InlineFragmentNode):
                size.add(self._of(selection.selection_set), nested=False)
            elif isinstance(selection, FragmentSpreadNode):
                size.add(self._of_fragment(selection.name.value), nested=False)
        self._most_repeats = max(self._most_repeats, *size.names.values(), 0)
        return size

    def _add_field(self, size: _Size, node: FieldNode) -> None:
        size.fields += 1
        size.aliases += node.alias is not None
        size.names[node.alias.value if node.alias else node.name.value] += 1
        for argument in node.arguments or ():
            self._measure(argument.value)
        if node.selection_set:
            size.add(self._of(node.selection_set), nested=True)
        size.depth = max(size.depth, 1)

    def _measure(self, value: ValueNode | None) -> None:
        """Look for long lists in a value."""
        if isinstance(value, ListValueNode):
            self._longest_list = max(self._longest_list, len(value.values))
            for item in value.values:
                self._measure(item)
        elif isinstance(value, ObjectValueNode):
            for entry in value.fields:
                self._measure(entry.value)

    def _of_fragment(self, name: str) -> _Size:
        if name not in self._sizes:
            fragment = self._fragments.get(name)
            # Validation says that it is unknown, or that it contains itself.
            self._sizes[name] = None
            self._sizes[name] = self._of(fragment.selection_set) if fragment else _Size()
        return self._sizes[name] or _Size()


def check_lists(variables: object) -> list[GraphQLError]:
    """The first list in the variables that is too long, as an error; empty if none is."""
    left = [variables]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            left.extend(cast("dict[str, object]", value).values())
        elif isinstance(value, list):
            items = cast("list[object]", value)
            if len(items) > MAX_ITEMS:
                return [_too_long(len(items))]
            left.extend(items)
    return []


def _too_long(count: int) -> GraphQLError:
    return GraphQLError(
        f"A list has {count} items; {MAX_ITEMS} are allowed. Send fewer at once.",
        extensions={"code": "LIST_TOO_LONG", "limit": MAX_ITEMS},
    )


def _error(what: str, count: int, most: int) -> GraphQLError:
    at_least = "more than " if count > most else ""
    shown = most if at_least else count
    return GraphQLError(
        f"The document has {at_least}{shown} {what}; {most} are allowed. Ask for less at once.",
        extensions={"code": "DOCUMENT_TOO_LARGE"},
    )
