"""The reference, made from the schema and the settings whenever the site is built."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLUnionType,
    build_schema,
    is_introspection_type,
    is_specified_scalar_type,
)

from core.settings import Settings
from mintari.environment import default_text
from schema import sdl

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from graphql import GraphQLArgument, GraphQLNamedType
    from sphinx.application import Sphinx

FOLDER = Path(__file__).parent / "reference"
ROOTS = ("Query", "Mutation", "Subscription")
KINDS: Mapping[type[object], str] = {
    GraphQLObjectType: "Types",
    GraphQLInputObjectType: "Inputs",
    GraphQLEnumType: "Enums",
    GraphQLUnionType: "Unions",
    GraphQLInterfaceType: "Interfaces",
    GraphQLScalarType: "Scalars",
}


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx's hook."""
    app.connect("builder-inited", lambda _app: write())
    return {"parallel_read_safe": True}


def write() -> None:
    """Write the pages that have changed."""
    FOLDER.mkdir(exist_ok=True)
    for name, lines in (("settings", settings()), ("schema", schema())):
        text = "\n".join(lines) + "\n"
        path = FOLDER / f"{name}.md"
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def settings() -> Iterator[str]:
    """Every setting, in the order of `.env.example`."""
    yield "# Settings\n"
    yield "Variables of the environment, or lines of `.env`. What has no default may be needed.\n"
    for name, field in Settings.model_fields.items():
        default = "" if field.is_required() else default_text(field)
        shown = f" Default: `{default}`." if default else ""
        yield f"- **`{name.upper()}`** {_line(field.description)}{shown}"


def schema() -> Iterator[str]:
    """Every type of the contract."""
    built = build_schema(sdl())
    yield "# The schema\n"
    yield "All that can be asked for; the same as `schema/schema.graphql`.\n"
    for name in ROOTS:
        yield from _type(built.type_map[name], 2)
    for kind, heading in KINDS.items():
        of_kind = [
            one
            for name, one in sorted(built.type_map.items())
            if type(one) is kind and name not in ROOTS and not _is_builtin(one)
        ]
        if of_kind:
            yield f"## {heading}\n"
        for one in of_kind:
            yield from _type(one, 3)


def _is_builtin(one: GraphQLNamedType) -> bool:
    return is_introspection_type(one) or is_specified_scalar_type(one)


def _type(one: GraphQLNamedType, level: int) -> Iterator[str]:
    yield f"{'#' * level} {one.name}\n"
    if one.description:
        yield f"{_line(one.description)}\n"
    if isinstance(one, GraphQLUnionType):
        yield f"One of: {', '.join(f'`{member.name}`' for member in one.types)}.\n"
    if isinstance(one, GraphQLEnumType):
        yield f"{', '.join(f'`{name}`' for name in one.values)}.\n"
    if isinstance(one, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
        yield from _fields(cast("Mapping[str, Any]", one.fields))


def _fields(fields: Mapping[str, Any]) -> Iterator[str]:
    for name, field in fields.items():
        yield _item(name, field)
        arguments: Mapping[str, GraphQLArgument] = getattr(field, "args", {})
        for argument, of in arguments.items():
            yield f"  {_item(argument, of)}"
    yield ""


def _item(name: str, field: Any) -> str:
    return f"- **{name}** `{field.type}` {_line(field.description)}"


def _line(text: str | None) -> str:
    # A type's list would read as a link.
    lines: Iterable[str] = (text or "").replace("[", "\\[").splitlines()
    return " ".join(lines).replace("<", "&lt;")
