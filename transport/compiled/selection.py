"""Selections of queries and of mutation answers, compiled: from records straight to JSON bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from graphql import (
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLUnionType,
    get_named_type,
)
from graphql.execution.collect_fields import collect_fields

from transport.compiled.roots import LEAVES, MUTATIONS, OBJECTS, QUERIES
from transport.projection import (
    NULL,
    Compiler,
    Field,
    NotFlatError,
    Shape,
    bytes_of,
    escaped,
    key_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from graphql import FieldNode, GraphQLLeafType, GraphQLNamedType
    from graphql.execution.collect_fields import FieldDetails

    from resolvers.answering import Answering
    from transport.compiled.roots import Make

    Write = Callable[[Any, Answering], bytes]


class UnanswerableError(Exception):
    """Something is not there that the schema promises: graphql-core knows what to say then."""


class Root:
    """A root field of an operation: its key in the answer, and its nodes in the document."""

    __slots__ = ("key", "name", "nodes")

    def __init__(self, key: str, details: list[FieldDetails]) -> None:
        self.key = key
        self.nodes: list[FieldNode] = [one.node for one in details]
        self.name = self.nodes[0].name.value


class SelectionCompiler(Compiler):
    """Compiles an operation's whole selection. Raises NotFlatError for what it does not know."""

    def query(self, kind: GraphQLObjectType) -> tuple[list[Root], Write]:
        """The root fields with arguments, and what writes `{"data": …}` from those, by key."""
        groups = self._groups(kind)
        shape = self._shape(kind, groups)
        shape.pieces[0] = b'{"data":' + shape.pieces[0]
        shape.pieces[-1] += b"}"
        roots = [Root(key, details) for key, details in groups.items()]
        return [root for root in roots if root.name in QUERIES], self._writer(shape)

    def mutation(self, kind: GraphQLObjectType) -> tuple[Root, Mapping[str, Write]]:
        """The only root field, and what writes `{"data": …}`, by the union's member."""
        groups = self._groups(kind)
        roots = [Root(key, details) for key, details in groups.items()]
        if len(roots) != 1 or roots[0].name not in MUTATIONS:
            raise NotFlatError
        (root,) = roots
        union = cast("GraphQLUnionType", get_named_type(kind.fields[root.name].type))
        return root, {
            member.name: self._member(root.key, member, groups[root.key]) for member in union.types
        }

    def _member(self, key: str, kind: GraphQLObjectType, details: list[FieldDetails]) -> Write:
        shape = self._object(kind, details)
        shape.pieces[0] = b'{"data":{' + key_of(key) + shape.pieces[0]
        shape.pieces[-1] += b"}}"
        return self._writer(shape)

    def _groups(self, kind: GraphQLObjectType) -> Mapping[str, list[FieldDetails]]:
        return collect_fields(
            self._schema, self._fragments, self._variables, kind, self._operation
        ).grouped_field_set

    def _field(self, kind: GraphQLObjectType, details: list[FieldDetails]) -> Field:
        name = details[0].node.name.value
        if kind.name == "Query":
            return self._root(kind, details)
        if make := OBJECTS.get((kind.name, name)):
            return self._made(kind, details, make)
        if read := LEAVES.get((kind.name, name)):
            declared: Any = kind.fields[name].type
            nullable = not isinstance(declared, GraphQLNonNull)
            leaf = cast("GraphQLLeafType", get_named_type(declared))
            return Field(self._leaf(f"{self._name(read)}(obj, facts)", leaf, nullable=nullable))
        return super()._field(kind, details)

    def _root(self, kind: GraphQLObjectType, details: list[FieldDetails]) -> Field:
        root = Root(_response_key(details), details)
        read = QUERIES.get(root.name)
        if read is None:
            raise NotFlatError
        return self._made(kind, details, lambda given, facts: read(given[root.key], facts))

    def _made(self, kind: GraphQLObjectType, details: list[FieldDetails], make: Make) -> Field:
        """A field that is an object, or a list of objects."""
        declared: Any = kind.fields[details[0].node.name.value].type
        named = cast("GraphQLNamedType", get_named_type(declared))
        write_one = self._writer(self._object(cast("GraphQLObjectType", named), details))
        nullable = not isinstance(declared, GraphQLNonNull)
        if str(declared).startswith("["):
            write = _list_writer(make, write_one)
        else:
            write = _object_writer(make, write_one, nullable=nullable)
        owner = "job" if kind.name == "Job" else "obj"
        return Field(f"{self._name(write)}({owner}, facts)")

    def _writer(self, shape: Shape) -> Write:
        """Writes an object; of a job, under the four names that pushes tell apart."""
        template = b"%b".join(escaped(piece) for piece in shape.pieces)
        source = f"lambda template, obj, job, rest, now, facts: template % {bytes_of(shape.fields)}"
        write = eval(source, self.names)  # noqa: S307  # see projection.Field
        return lambda obj, facts: write(template, obj, obj, obj, obj, facts)


def _object_writer(make: Make, write_one: Write, *, nullable: bool) -> Write:
    def write(owner: Any, facts: Answering) -> bytes:
        made = make(owner, facts)
        if made is not None:
            return write_one(made, facts)
        if nullable or facts.missing:
            return NULL
        raise UnanswerableError

    return write


def _list_writer(make: Make, write_one: Write) -> Write:
    def write(owner: Any, facts: Answering) -> bytes:
        return b"[%b]" % b",".join([write_one(one, facts) for one in make(owner, facts)])

    return write


def _response_key(details: list[FieldDetails]) -> str:
    node = details[0].node
    return node.alias.value if node.alias else node.name.value
