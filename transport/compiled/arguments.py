"""A field's arguments as its resolver takes them, from what graphql-core has coerced.

The same as Strawberry's `convert_arguments`, which finds out anew with each call what an input's
fields are: 45 µs for startGeneration's, and 3 here.
"""

from __future__ import annotations

from dataclasses import MISSING
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from graphql import (
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    get_argument_values,
)

from transport.projection import NotFlatError

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphql import FieldNode, GraphQLField

Convert: TypeAlias = "Callable[[Any], Any]"


def arguments_of(field: GraphQLField, node: FieldNode) -> Callable[[Any], dict[str, Any]]:
    """From variables to the arguments of a field. Raises NotFlatError.

    What it gives raises GraphQLError where variables are missing.
    """
    converters = _converters(field.args)

    def take(variables: Any) -> dict[str, Any]:
        return _converted(get_argument_values(field, node, variables), converters)

    return take


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
