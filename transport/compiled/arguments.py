"""A field's arguments as its resolver takes them, from coerced variables.

The same as graphql-core's `get_argument_values` and then Strawberry's `convert_arguments`, which
find out anew with each call what a field's arguments are and an input's fields: 50 µs for
startGeneration's, and 3 here.
"""

from __future__ import annotations

from dataclasses import MISSING
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from graphql import (
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    Undefined,
    VariableNode,
    is_required_argument,
)
from graphql.execution.values import VariableValues
from graphql.utilities.coerce_input_value import (
    coerce_default_value,
    coerce_input_literal,  # pyright: ignore[reportUnknownVariableType]  # its lists' items
)

from transport.compiled.variables import UnusualError
from transport.projection import NotFlatError

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphql import FieldNode, GraphQLArgument, GraphQLField, ValueNode

    from transport.compiled.variables import Variables

Convert: TypeAlias = "Callable[[Any], Any]"


def arguments_of(field: GraphQLField, node: FieldNode) -> Callable[[Variables], dict[str, Any]]:
    """From variables to the arguments of a field. Raises NotFlatError.

    What it gives raises UnusualError where arguments do not fit, as only variables can tell.
    """
    given = {argument.name.value: argument.value for argument in node.arguments or ()}
    readers = {name: _reader(one, given.get(name)) for name, one in field.args.items()}
    arguments = [(readers[name], *one) for name, one in _converters(field.args).items()]

    def take(variables: Variables) -> dict[str, Any]:
        taken: dict[str, Any] = {}
        for read, python_name, convert in arguments:
            value = read(variables)
            if value is not Undefined:
                taken[python_name] = value if value is None or convert is None else convert(value)
        return taken

    return take


def _reader(argument: GraphQLArgument, node: ValueNode | None) -> Callable[[Variables], Any]:
    """From variables to an argument's value; Undefined: it is left out. Raises NotFlatError."""
    is_required = is_required_argument(argument)
    default = Undefined if is_required else coerce_default_value(argument)
    if node is None:
        if is_required:
            raise NotFlatError
        return lambda _: default
    if isinstance(node, VariableNode):
        return _variable_reader(argument, node.name.value, default)
    return _literal_reader(argument, node)


def _variable_reader(
    argument: GraphQLArgument, name: str, default: Any
) -> Callable[[Variables], Any]:
    is_non_null = isinstance(cast("Any", argument).type, GraphQLNonNull)
    is_required = is_required_argument(argument)

    def read(variables: Variables) -> Any:
        value = variables.get(name, default)
        if (value is None and is_non_null) or (value is Undefined and is_required):
            raise UnusualError
        return value

    return read


def _literal_reader(argument: GraphQLArgument, node: ValueNode) -> Callable[[Variables], Any]:
    kind = cast("Any", argument).type

    def read(variables: Variables) -> Any:
        # Where variables come from matters to scalars that take objects: there are none.
        value = coerce_input_literal(node, kind, VariableValues({}, variables))
        if value is Undefined:
            raise UnusualError
        return value

    return read


def _converters(inputs: Any) -> dict[str, tuple[str, Convert | None]]:
    """Of arguments or fields by name: their names in Python, and how they are converted, if so."""
    return {
        name: (one.extensions["strawberry-definition"].python_name, _converter(one.type))
        for name, one in inputs.items()
    }


def _converted(
    given: dict[str, Any], converters: dict[str, tuple[str, Convert | None]]
) -> dict[str, Any]:
    converted: dict[str, Any] = {}
    for name, value in given.items():
        python_name, convert = converters[name]
        converted[python_name] = value if value is None or convert is None else convert(value)
    return converted


def _converter(kind: Any) -> Convert | None:
    """How values of a type are converted; None: not at all. Raises NotFlatError."""
    if isinstance(kind, GraphQLNonNull):
        return _converter(cast("Any", kind).of_type)
    if isinstance(kind, GraphQLList):
        if _converter(cast("Any", kind).of_type) is not None:
            raise NotFlatError
        # A copy: defaults are the same list for all.
        return cast("Convert", list)
    return _input(kind) if isinstance(kind, GraphQLInputObjectType) else None


def _input(kind: GraphQLInputObjectType) -> Convert:
    definition = kind.extensions["strawberry-definition"]
    if definition.from_input is not None:
        raise NotFlatError
    converters = _converters(kind.fields)
    without_default = {
        one.python_name: None
        for one in definition.fields
        if one.default_value is MISSING and one.default_factory is MISSING
    }
    make = definition.origin
    return lambda given: make(**{**without_default, **_converted(given, converters)})
