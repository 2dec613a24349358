"""Selections of a job, compiled once per document: from a record straight to JSON bytes.

graphql-core takes some 130 µs for an execution, a projection 2. Both give the same bytes; a
property test with generated documents holds them against each other. What is not compiled here
(lineage, the job's generation) is left to graphql-core as a whole.

What cannot change in a job's life (`JobChange` says what can) is written once per job, into a
template that leaves room for the rest.
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
from jobs.changes import JobChange
from schema.jobs import Eta, FallOver, JobError
from schema.pictures import Image, Preview

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from graphql import (
        GraphQLLeafType,
        GraphQLNamedType,
        GraphQLSchema,
        OperationDefinitionNode,
    )
    from graphql.execution.collect_fields import FieldDetails

    from resolvers.facts import Facts

Read: TypeAlias = "Callable[[Any, JobRecord, JobChange, Facts], Any]"
"""A field's value: of the object that it is a field of, the job as it was read, what it is now, and
what else is known."""

NULL = b"null"


class NotFlatError(Exception):
    """Something is selected that only graphql-core resolves."""


# Fields that are objects: how the object comes about. The same as their resolvers do.
# A change has all attributes of a record that these look at.
_NESTED: dict[tuple[str, str], Read] = {
    ("Job", "preview"): lambda _o, _j, now, _f: Preview(key=now.preview_key or ""),
    ("Job", "image"): lambda _o, _j, now, _f: Image.from_job(cast("JobRecord", now)),
    ("Job", "fallOver"): lambda _o, _j, now, _f: FallOver.from_job(cast("JobRecord", now)),
    ("Job", "error"): lambda _o, _j, now, _f: JobError.from_job(cast("JobRecord", now)),
    ("Job", "eta"): lambda _o, job, now, facts: Eta.from_estimate(facts.eta(job, now)),
}
# Without this attribute there is no such object: most versions have none of them.
_ABSENT: dict[tuple[str, str], str] = {
    ("Job", "preview"): "preview_key",
    ("Job", "image"): "image_key",
    ("Job", "fallOver"): "requested_provider",
    ("Job", "error"): "error_code",
}
# Fields with resolvers whose values are leaves.
_RESOLVED: dict[tuple[str, str], Read] = {
    ("Job", "queuePosition"): lambda _o, _j, now, facts: facts.queue_position(now),
    ("Job", "promptHash"): lambda _o, job, _n, facts: _of(facts.generation(job), "prompt_hash"),
    ("Job", "assembledPrompt"): lambda _o, job, _n, facts: _of(
        facts.generation(job), "assembled_prompt"
    ),
    ("Preview", "url"): lambda preview, _j, _n, facts: facts.url(preview.key),
    ("Image", "url"): lambda image, _j, _n, facts: facts.url(image.key),
    ("Image", "thumbnailUrl"): lambda image, _j, _n, facts: facts.url(image.thumbnail_key),
}


def _of(record: Any, name: str) -> Any:
    return None if record is None else getattr(record, name)


class Field:
    """A field's value as a Python expression of JSON bytes, over `obj`, `job`, `now` and `facts`.

    Expressions are made of names of our own attributes and of `names`; nothing of a client's
    document is in them, its words are in the pieces around.
    """

    __slots__ = ("expression", "is_constant")

    def __init__(self, expression: str, *, is_constant: bool = False) -> None:
        self.expression = expression
        self.is_constant = is_constant


class Shape:
    """An object's text: pieces between its fields. One piece more than fields."""

    __slots__ = ("fields", "pieces")

    def __init__(self, pieces: list[bytes], fields: list[Field]) -> None:
        self.pieces = pieces
        self.fields = fields


class Projection:
    """A compiled `jobProgress` selection."""

    __slots__ = ("_constants", "_pieces", "render")

    def __init__(self, shape: Shape, names: dict[str, Any]) -> None:
        changing = [field for field in shape.fields if not field.is_constant]
        self._pieces = shape.pieces
        self._constants = [
            _function(bytes_of([field]), names) if field.is_constant else None
            for field in shape.fields
        ]
        self.render: Callable[[bytes, JobRecord, JobChange, Facts], bytes] = _function(
            f"template % {bytes_of(changing)}", names
        )
        """`{"data": …}` for one version of a job, by its template. Raises NotKnownYet."""

    def template(self, job: JobRecord, now: JobChange, facts: Facts) -> bytes:
        """What `render` needs for all versions of a job: room is left for what can change."""
        parts = [escaped(self._pieces[0])]
        for write, piece in zip(self._constants, self._pieces[1:], strict=True):
            parts.append(b"%b" if write is None else escaped(write(b"", job, now, facts)[0]))
            parts.append(escaped(piece))
        return b"".join(parts)


def _function(
    expression: str, names: dict[str, Any]
) -> Callable[[bytes, JobRecord, JobChange, Facts], Any]:
    # Compiled once per document: a call per field would cost more than all that the fields do.
    source = f"lambda template, job, now, facts: {expression}"
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

    def root(self, kind: GraphQLObjectType) -> Shape:
        """The selection of the operation itself: one field that yields jobs."""
        collected = collect_fields(
            self._schema, self._fragments, self._variables, kind, self._operation
        )
        ((key, nodes),) = collected.grouped_field_set.items()
        if nodes[0].node.name.value != "jobProgress":
            raise NotFlatError
        shape = self._object(cast("GraphQLObjectType", self._schema.type_map["Job"]), nodes)
        shape.pieces[0] = b'{"data":{' + key_of(key) + shape.pieces[0]
        shape.pieces[-1] += b"}}"
        return shape

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
        if make := _NESTED.get((kind.name, name)):
            inner = self._object(cast("GraphQLObjectType", named), details)
            return self._nested(make, inner, _ABSENT.get((kind.name, name)))
        if details[0].node.arguments or not is_leaf_type(named):
            raise NotFlatError
        nullable = not isinstance(field_type, GraphQLNonNull)
        if read := _RESOLVED.get((kind.name, name)):
            value = f"{self._name(read)}({'job' if kind.name == 'Job' else 'obj'}, job, now, facts)"
            return Field(self._leaf(value, named, nullable=nullable))
        attribute = _attribute(kind, name)
        if kind.name != "Job":
            return Field(self._leaf(f"obj.{attribute}", named, nullable=nullable))
        if attribute not in JobRecord.__struct_fields__:
            raise NotFlatError
        is_constant = attribute not in JobChange.__struct_fields__ or attribute == "id"
        owner = "job" if is_constant else "now"
        expression = self._leaf(f"{owner}.{attribute}", named, nullable=nullable)
        return Field(expression, is_constant=is_constant)

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

    def _nested(self, make: Read, shape: Shape, absent: str | None) -> Field:
        template = b"%b".join(escaped(piece) for piece in shape.pieces)
        source = f"lambda template, obj, job, now, facts: template % {bytes_of(shape.fields)}"
        write = eval(source, self.names)  # noqa: S307  # see Field

        def render(job: JobRecord, now: JobChange, facts: Facts) -> bytes:
            inner = make(None, job, now, facts)
            return NULL if inner is None else write(template, inner, job, now, facts)

        call = f"{self._name(render)}(job, now, facts)"
        return Field(f"(NULL if now.{absent} is None else {call})" if absent else call)

    def _name(self, value: object) -> str:
        """A name of this value's in the expressions."""
        name = f"value_{len(self.names)}"
        self.names[name] = value
        return name


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
    if kind is GraphQLInt:
        return b"%d".__mod__
    if kind.name == "DateTime":
        return lambda value: b'"%b"' % value.isoformat().encode()
    if kind in (GraphQLString, GraphQLBoolean):
        return msgspec.json.encode
    return lambda value: msgspec.json.encode(kind.serialize(value))


def key_of(key: str) -> bytes:
    """An object's key, with its colon."""
    return msgspec.json.encode(key) + b":"


def escaped(text: bytes) -> bytes:
    """As a part of a template for `%`."""
    return text.replace(b"%", b"%%")


def compile_projection(
    schema: GraphQLSchema,
    fragments: Mapping[str, Any],
    variables: Any,
    operation: OperationDefinitionNode,
) -> Projection | None:
    """Compile a subscription's selection; None if only graphql-core can resolve it.

    Args:
        schema: graphql-core's schema.
        fragments: of the document, as graphql-core's executor keeps them.
        variables: coerced; directives may depend on them.
        operation: a valid subscription.
    """
    kind = schema.subscription_type
    assert kind is not None
    try:
        compiler = Compiler(schema, fragments, variables, operation)
        return Projection(compiler.root(kind), compiler.names)
    except NotFlatError:
        return None
