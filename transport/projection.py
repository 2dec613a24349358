"""Selections of a job, compiled once per document: from a record straight to JSON bytes.

graphql-core takes some 130 µs for an execution, a projection 2. Both give the same bytes; a
property test with generated documents holds them against each other. What is not compiled here
(lineage, the job's generation) is left to graphql-core as a whole.

What progress does not move is written once, into a template of the job that leaves room for what
it does; another template is made when the rest of the job changes (`JobChange` says what is what).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, cast

import msgspec
from graphql import (
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLInt,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLString,
    get_named_type,
    is_leaf_type,
)
from graphql.execution.collect_fields import collect_fields, collect_subfields

from db.records import JobRecord
from jobs.changes import JobChange, JobRest
from schema.jobs import Eta, FallOver, JobError
from schema.pictures import Image, Preview

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from graphql import (
        FieldNode,
        GraphQLLeafType,
        GraphQLNamedType,
        GraphQLSchema,
        OperationDefinitionNode,
    )
    from graphql.execution.collect_fields import FieldDetails

    from resolvers.facts import Facts

Read: TypeAlias = "Callable[[Any, JobRecord, JobRest, JobChange, Facts], Any]"
"""A field's value: of the object that it is a field of, the job as it was read, the rest of what it
is now, what moves of it, and what else is known."""

NULL = b"null"


class NotFlatError(Exception):
    """Something is selected that only graphql-core resolves."""


# Fields that are objects: how the object comes about. The same as their resolvers do.
# The rest of a change has all attributes of a record that these look at.
_NESTED: dict[tuple[str, str], Read] = {
    ("Job", "preview"): lambda _o, _j, _r, now, _f: Preview(key=now.preview_key or ""),
    ("Job", "image"): lambda _o, _j, rest, _n, _f: Image.from_job(cast("JobRecord", rest)),
    ("Job", "fallOver"): lambda _o, _j, rest, _n, _f: FallOver.from_job(cast("JobRecord", rest)),
    ("Job", "error"): lambda _o, _j, rest, _n, _f: JobError.from_job(cast("JobRecord", rest)),
    ("Job", "eta"): lambda _o, job, rest, _n, facts: Eta.from_estimate(facts.eta(job, rest)),
}
# Without this attribute there is no such object: most versions have none of them.
_ABSENT: dict[tuple[str, str], str] = {
    ("Job", "preview"): "now.preview_key",
    ("Job", "image"): "rest.image_key",
    ("Job", "fallOver"): "rest.requested_provider",
    ("Job", "error"): "rest.error_code",
}
# Objects that are made of the rest alone.
_STEADY = frozenset({("Job", "image"), ("Job", "fallOver"), ("Job", "error")})
# Fields with resolvers whose values are leaves.
_RESOLVED: dict[tuple[str, str], Read] = {
    ("Job", "queuePosition"): lambda _o, _j, rest, now, facts: facts.queue_position(rest, now),
    ("Job", "promptHash"): lambda _o, job, _r, _n, facts: _of(facts.generation(job), "prompt_hash"),
    ("Job", "assembledPrompt"): lambda _o, job, _r, _n, facts: _of(
        facts.generation(job), "assembled_prompt"
    ),
    ("Preview", "url"): lambda preview, _j, _r, _n, facts: facts.url(preview.key),
    ("Image", "url"): lambda image, _j, _r, _n, facts: facts.url(image.key),
    ("Image", "thumbnailUrl"): lambda image, _j, _r, _n, facts: facts.url(image.thumbnail_key),
}


def _of(record: Any, name: str) -> Any:
    return None if record is None else getattr(record, name)


class Field:
    """A field's value as a Python expression of JSON bytes.

    It is made of `obj`, `job`, `rest`, `now` and `facts`, as `Read` says.

    Expressions are made of names of our own attributes and of `names`; nothing of a client's
    document is in them, its words are in the pieces around.
    """

    __slots__ = ("expression", "is_steady")

    def __init__(self, expression: str, *, is_steady: bool = False) -> None:
        self.expression = expression
        self.is_steady = is_steady
        """Whether it stays the same as long as the rest of the job does."""


class Shape:
    """An object's text: pieces between its fields. One piece more than fields."""

    __slots__ = ("fields", "pieces")

    def __init__(self, pieces: list[bytes], fields: list[Field]) -> None:
        self.pieces = pieces
        self.fields = fields


class Projection:
    """A compiled `jobProgress` selection."""

    __slots__ = ("_pieces", "_steady", "render")

    def __init__(self, shape: Shape, names: dict[str, Any]) -> None:
        moving = [field for field in shape.fields if not field.is_steady]
        steady = [field for field in shape.fields if field.is_steady]
        # The pieces of a template, with None where a steady value is written.
        self._pieces: list[bytes | None] = [escaped(shape.pieces[0])]
        for field, piece in zip(shape.fields, shape.pieces[1:], strict=True):
            self._pieces.append(None if field.is_steady else b"%b")
            self._pieces.append(escaped(piece))
        self._steady = _function(bytes_of(steady), names)
        self.render: Callable[[bytes, JobRecord, JobRest, JobChange, Facts], bytes] = _function(
            f"template % {bytes_of(moving)}", names
        )
        """`{"data": …}` for one version of a job, by its template. Raises NotKnownYet."""

    def template(self, job: JobRecord, rest: JobRest, now: JobChange, facts: Facts) -> bytes:
        """What `render` needs for all versions of a job with the same rest."""
        steady = iter(self._steady(b"", job, rest, now, facts))
        pieces = [escaped(next(steady)) if it is None else it for it in self._pieces]
        return b"".join(pieces)


def _function(
    expression: str, names: dict[str, Any]
) -> Callable[[bytes, JobRecord, JobRest, JobChange, Facts], Any]:
    # Compiled once per document: a call per field would cost more than all that the fields do.
    source = f"lambda template, job, rest, now, facts: {expression}"
    return eval(source, names)  # noqa: S307  # see Field: no word of a client's is in it


def bytes_of(fields: list[Field]) -> str:
    """An expression of the tuple of all values."""
    return f"({''.join(field.expression + ', ' for field in fields)})"


class Compiler:
    """Compiles the selection of one operation. Raises NotFlatError for what it does not know."""

    def __init__(
        self,
        schema: GraphQLSchema,
        fragments: Mapping[str, Any],
        variables: Any,
        operation: OperationDefinitionNode,
    ) -> None:
        self._schema = schema
        self._fragments = cast("dict[str, Any]", fragments)
        self._variables = variables
        self._operation = operation
        self.names: dict[str, Any] = {"__builtins__": {}, "NULL": NULL, "id": id}

    def root(self, kind: GraphQLObjectType) -> tuple[FieldNode, Projection]:
        """Of a subscription: its field, which yields jobs, and how each is shown."""
        collected = collect_fields(
            self._schema, self._fragments, self._variables, kind, self._operation
        )
        ((key, nodes),) = collected.grouped_field_set.items()
        if nodes[0].node.name.value != "jobProgress":
            raise NotFlatError
        shape = self._object(cast("GraphQLObjectType", self._schema.type_map["Job"]), nodes)
        shape.pieces[0] = b'{"data":{' + key_of(key) + shape.pieces[0]
        shape.pieces[-1] += b"}}"
        return nodes[0].node, Projection(shape, self.names)

    def _object(self, kind: GraphQLObjectType, nodes: list[FieldDetails]) -> Shape:
        collected = collect_subfields(
            self._schema, self._fragments, self._variables, self._operation, kind, nodes
        )
        return self._shape(kind, collected.grouped_field_set)

    def _shape(self, kind: GraphQLObjectType, groups: Mapping[str, list[FieldDetails]]) -> Shape:
        pieces, fields, text = list[bytes](), list[Field](), b"{"
        for key, details in groups.items():
            text += key_of(key)
            if details[0].node.name.value == "__typename":
                text += msgspec.json.encode(kind.name) + b","
                continue
            pieces.append(text)
            fields.append(self._field(kind, details))
            text = b","
        # Without a selected field a comma has nothing to separate.
        return Shape([*pieces, text.removesuffix(b",") + b"}"], fields)

    def _field(self, kind: GraphQLObjectType, details: list[FieldDetails]) -> Field:
        name = details[0].node.name.value
        field_type = kind.fields[name].type
        named = cast("GraphQLNamedType", get_named_type(field_type))
        if (kind.name, name) in _NESTED:
            inner = self._object(cast("GraphQLObjectType", named), details)
            return self._nested((kind.name, name), inner)
        if details[0].node.arguments or not is_leaf_type(named):
            raise NotFlatError
        nullable = not isinstance(field_type, GraphQLNonNull)
        if read := _RESOLVED.get((kind.name, name)):
            owner = "job" if kind.name == "Job" else "obj"
            value = f"{self._name(read)}({owner}, job, rest, now, facts)"
            return Field(self._leaf(value, named, nullable=nullable))
        attribute = _attribute(kind, name)
        owner = "obj" if kind.name != "Job" else _owner(attribute)
        expression = self._leaf(f"{owner}.{attribute}", named, nullable=nullable)
        return Field(expression, is_steady=owner != "now")

    def _leaf(self, value: str, kind: GraphQLLeafType, *, nullable: bool) -> str:
        if isinstance(kind, GraphQLEnumType):
            # By identity, as members of an enum live for ever: hashing one calls Python, 150 ns.
            known = {id(None): NULL}
            remember = self._name(_remember_in(known, kind))
            return f"({self._name(known)}.get(id(value := {value})) or {remember}(value))"
        name = self._name(_encoder(kind))
        if not nullable:
            return f"{name}({value})"
        return f"(NULL if (value := {value}) is None else {name}(value))"

    def _nested(self, name: tuple[str, str], shape: Shape) -> Field:
        make, absent = _NESTED[name], _ABSENT.get(name)
        template = b"%b".join(escaped(piece) for piece in shape.pieces)
        source = f"lambda template, obj, job, rest, now, facts: template % {bytes_of(shape.fields)}"
        write = eval(source, self.names)  # noqa: S307  # see Field

        def render(job: JobRecord, rest: JobRest, now: JobChange, facts: Facts) -> bytes:
            inner = make(None, job, rest, now, facts)
            return NULL if inner is None else write(template, inner, job, rest, now, facts)

        call = f"{self._name(render)}(job, rest, now, facts)"
        return Field(
            f"(NULL if {absent} is None else {call})" if absent else call,
            is_steady=name in _STEADY and all(field.is_steady for field in shape.fields),
        )

    def _name(self, value: object) -> str:
        """A name of this value's in the expressions."""
        name = f"value_{len(self.names)}"
        self.names[name] = value
        return name


def _owner(attribute: str) -> str:
    """Where a job's attribute is found. Raises NotFlatError."""
    if attribute in JobChange.__struct_fields__:
        return "now"
    if attribute not in JobRecord.__struct_fields__:
        raise NotFlatError
    return "rest" if attribute in JobRest.__struct_fields__ and attribute != "id" else "job"


def _attribute(kind: GraphQLObjectType, name: str) -> str:
    field = kind.fields[name].extensions["strawberry-definition"]
    if field.base_resolver is not None:
        raise NotFlatError
    return cast("str", field.python_name)


def _remember_in(known: dict[int, bytes], kind: GraphQLEnumType) -> Callable[[Any], bytes]:
    def remember(value: Any) -> bytes:
        known[id(value)] = encoded = msgspec.json.encode(kind.serialize(value))
        return encoded

    return remember


def _encoder(kind: GraphQLLeafType) -> Callable[[Any], bytes]:
    """From a value to JSON, the same as serialising and then encoding it."""
    if kind.name == "ID":
        return lambda value: msgspec.json.encode(str(value))
    if kind.name == "DateTime":
        return lambda value: b'"%b"' % value.isoformat().encode()
    if kind in (GraphQLString, GraphQLBoolean, GraphQLInt):
        return msgspec.json.encode
    return lambda value: msgspec.json.encode(kind.serialize(value))


def key_of(key: str) -> bytes:
    """An object's key, with its colon."""
    return msgspec.json.encode(key) + b":"


def escaped(text: bytes) -> bytes:
    """As a part of a template for `%`."""
    return text.replace(b"%", b"%%")
