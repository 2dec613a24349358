"""Variables as graphql-core coerces them, of one operation, whose types are looked at once.

graphql-core finds out anew with each request what types its variables have, and looks at each
value three times: 20 µs for startGeneration's, and 2 here. Whatever is not as it should be is left
to it: it knows what to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast

from graphql import (
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    Undefined,
    is_required_input_field,
)
from graphql.execution.get_variable_signature import get_variable_signature
from graphql.utilities.coerce_input_value import coerce_default_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from graphql import GraphQLSchema, VariableDefinitionNode

Coerce: TypeAlias = "Callable[[Any], Any]"
Variables: TypeAlias = "dict[str, Any]"


class UnusualError(Exception):
    """A value that does not fit its type, or not as most do."""


class _Expected(NamedTuple):
    """A variable, or a field of an input. `default` is Undefined where there is none."""

    name: str
    coerce: Coerce
    default: Any
    is_required: bool


def coercer_of(
    schema: GraphQLSchema, definitions: Iterable[VariableDefinitionNode]
) -> Callable[[Mapping[str, Any]], Variables | None]:
    """From a request's variables to their values; None if they are graphql-core's to judge."""
    variables = [_variable(schema, one) for one in definitions]

    def coerce(given: Mapping[str, Any]) -> Variables | None:
        try:
            return _coerced(variables, given)
        except Exception:  # as graphql-core: scalars may raise anything
            return None

    return coerce


def _coerced(variables: Iterable[_Expected], given: Mapping[str, Any]) -> Variables:
    coerced: Variables = {}
    for name, coerce, default, is_required in variables:
        if name in given:
            coerced[name] = coerce(given[name])
        elif is_required:
            raise UnusualError
        elif default is not Undefined:
            coerced[name] = default
    return coerced


def _variable(schema: GraphQLSchema, definition: VariableDefinitionNode) -> _Expected:
    # Documents are valid: the type is known, and the default fits it.
    signature: Any = get_variable_signature(schema, definition)
    kind, default = signature.type, coerce_default_value(signature)
    is_required = default is Undefined and isinstance(kind, GraphQLNonNull)
    return _Expected(signature.name, _coercer(cast("Any", kind)), default, is_required)


def _coercer(kind: Any, *around: GraphQLInputObjectType) -> Coerce:
    """How values of a type are coerced; `around` are the inputs that it is a part of."""
    if not isinstance(kind, GraphQLNonNull):
        coerce = _value_coercer(kind, around)
        return lambda value: None if value is None else _defined(coerce(value))
    coerce = _value_coercer(cast("Any", kind).of_type, around)

    def coerce_value(value: Any) -> Any:
        if value is None:
            raise UnusualError
        return _defined(coerce(value))

    return coerce_value


def _defined(coerced: Any) -> Any:
    if coerced is Undefined:
        raise UnusualError
    return coerced


def _value_coercer(kind: Any, around: tuple[GraphQLInputObjectType, ...]) -> Coerce:
    """The same for what is not null."""
    if isinstance(kind, GraphQLList):
        return _list_coercer(_coercer(cast("Any", kind).of_type, *around))
    if isinstance(kind, GraphQLInputObjectType):
        # Their values may be nested too deeply, or have one field too many.
        if kind in around or kind.is_one_of:
            return _refuse
        return _object_coercer(kind, around)
    return kind.coerce_input_value


def _refuse(_: Any) -> Any:
    raise UnusualError


def _list_coercer(coerce: Coerce) -> Coerce:
    def coerce_list(value: Any) -> list[Any]:
        if type(value) is not list:
            raise UnusualError
        return [coerce(item) for item in cast("list[Any]", value)]

    return coerce_list


def _object_coercer(
    kind: GraphQLInputObjectType, around: tuple[GraphQLInputObjectType, ...]
) -> Coerce:
    inside = (*around, kind)
    fields = {name: _field(name, one, inside) for name, one in kind.fields.items()}
    required = {name for name, one in fields.items() if one.is_required}
    defaults = {it.name: it.default for it in fields.values() if it.default is not Undefined}

    def coerce_object(value: Any) -> Any:
        if type(value) is not dict or not required <= value.keys():
            raise UnusualError
        coerced = defaults.copy()
        for given, item in cast("dict[str, Any]", value).items():
            # A field that is unknown is a KeyError.
            name, coerce, _, _ = fields[given]
            coerced[name] = coerce(item)
        return kind.out_type(coerced)

    return coerce_object


def _field(name: str, field: Any, around: tuple[GraphQLInputObjectType, ...]) -> _Expected:
    is_required = is_required_input_field(field)
    default = Undefined if is_required else coerce_default_value(field)
    return _Expected(field.out_name or name, _coercer(field.type, *around), default, is_required)
