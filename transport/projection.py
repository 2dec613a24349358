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

Read: TypeAlias = "Callable[[Any, JobRecord, Facts], Any]"
"""A field's value: of the object that it is a field of, the job, and what else is known."""
Write: TypeAlias = "Callable[[Any, JobRecord, Facts], bytes]"
"""The same as JSON."""

NULL = b"null"


class _NotFlatError(Exception):
    """Something is selected that only graphql-core resolves."""


# Fields that are objects: how the object comes about. The same as their resolvers do.
_NESTED: dict[tuple[str, str], Read] = {
    ("Job", "preview"): lambda _o, job, _f: (
        Preview(key=job.preview_key) if job.preview_key else None
    ),
    ("Job", "image"): lambda _o, job, _f: job.image_key and Image.from_job(job),
    ("Job", "fallOver"): lambda _o, job, _f: job.requested_provider and FallOver.from_job(job),
    ("Job", "error"): lambda _o, job, _f: job.error_code and JobError.from_job(job),
    ("Job", "eta"): lambda _o, job, facts: Eta.from_estimate(facts.eta(job)),
}
# Fields with resolvers whose values are leaves.
_RESOLVED: dict[tuple[str, str], Read] = {
    ("Job", "queuePosition"): lambda _o, job, facts: facts.queue_position(job),
    ("Job", "promptHash"): lambda _o, job, facts: _of(facts.generation(job), "prompt_hash"),
    ("Job", "assembledPrompt"): lambda _o, job, facts: _of(
        facts.generation(job), "assembled_prompt"
    ),
    ("Preview", "url"): lambda preview, _j, facts: facts.url(preview.key),
    ("Image", "url"): lambda image, _j, facts: facts.url(image.key),
    ("Image", "thumbnailUrl"): lambda image, _j, facts: facts.url(image.thumbnail_key),
}


def _of(record: Any, name: str) -> Any:
    return None if record is None else getattr(record, name)


class _Field:
    """A field's place in the text: its name is before it, its value is written into it."""

    __slots__ = ("is_constant", "write")

    def __init__(self, write: Write, *, is_constant: bool = False) -> None:
        self.write = write
        self.is_constant = is_constant


class _Shape:
    """An object's text: pieces between its fields. One piece more than fields."""

    __slots__ = ("fields", "pieces")

    def __init__(self, pieces: list[bytes], fields: list[_Field]) -> None:
        self.pieces = pieces
        self.fields = fields

    def template(self, obj: Any, job: JobRecord, facts: Facts, *, constants: bool) -> bytes:
        """For `%` with the fields that are left: all of them, or those that can change."""
        parts = [_escaped(self.pieces[0])]
        for field, piece in zip(self.fields, self.pieces[1:], strict=True):
            if constants and field.is_constant:
                parts.append(_escaped(field.write(obj, job, facts)))
            else:
                parts.append(b"%b")
            parts.append(_escaped(piece))
        return b"".join(parts)


class Projection:
    """A compiled `jobProgress` selection."""

    __slots__ = ("_shape", "_writes")

    def __init__(self, shape: _Shape) -> None:
        self._shape = shape
        self._writes = [field.write for field in shape.fields if not field.is_constant]

    def template(self, job: JobRecord, facts: Facts) -> bytes:
        """What `render` needs for all versions of a job."""
        return self._shape.template(job, job, facts, constants=True)

    def render(self, template: bytes, job: JobRecord, facts: Facts) -> bytes:
        """`{"data": …}` for one version of a job. Raises NotKnownYet."""
        return template % tuple([write(job, job, facts) for write in self._writes])


class _Compiler:
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

    def root(self, kind: GraphQLObjectType) -> _Shape:
        """The selection of the operation itself: one field that yields jobs."""
        collected = collect_fields(
            self._schema, self._fragments, self._variables, kind, self._operation
        )
        ((key, nodes),) = collected.grouped_field_set.items()
        if nodes[0].node.name.value != "jobProgress":
            raise _NotFlatError
        shape = self._object(cast("GraphQLObjectType", self._schema.type_map["Job"]), nodes)
        shape.pieces[0] = b'{"data":{' + _key(key) + shape.pieces[0]
        shape.pieces[-1] += b"}}"
        return shape

    def _object(self, kind: GraphQLObjectType, nodes: list[FieldDetails]) -> _Shape:
        collected = collect_subfields(
            self._schema, self._fragments, self._variables, self._operation, kind, nodes
        )
        pieces, fields, text = list[bytes](), list[_Field](), b"{"
        for key, details in collected.grouped_field_set.items():
            text += _key(key)
            if details[0].node.name.value == "__typename":
                text += msgspec.json.encode(kind.name) + b","
                continue
            pieces.append(text)
            fields.append(self._field(kind, details))
            text = b","
        # Without a selected field a comma has nothing to separate.
        return _Shape([*pieces, text.removesuffix(b",") + b"}"], fields)

    def _field(self, kind: GraphQLObjectType, details: list[FieldDetails]) -> _Field:
        name = details[0].node.name.value
        field_type = kind.fields[name].type
        named = cast("GraphQLNamedType", get_named_type(field_type))
        if make := _NESTED.get((kind.name, name)):
            inner = self._object(cast("GraphQLObjectType", named), details)
            return _Field(_nested(make, inner))
        if details[0].node.arguments or not is_leaf_type(named):
            raise _NotFlatError
        encode = _encoder(named)
        nullable = not isinstance(field_type, GraphQLNonNull)
        if read := _RESOLVED.get((kind.name, name)):
            return _Field(_leaf(read, encode))
        attribute = _attribute(kind, name)
        if kind.name == "Job":
            if attribute not in JobRecord.__struct_fields__:
                raise _NotFlatError
            is_constant = attribute not in JobChange.__struct_fields__ or attribute == "id"
            write = _job_leaf(attribute, encode, nullable=nullable)
            return _Field(write, is_constant=is_constant)
        return _Field(_leaf(lambda obj, _j, _f: getattr(obj, attribute), encode))


def _attribute(kind: GraphQLObjectType, name: str) -> str:
    field = kind.fields[name].extensions["strawberry-definition"]
    if field.base_resolver is not None:
        raise _NotFlatError
    return cast("str", field.python_name)


def _job_leaf(name: str, encode: Callable[[Any], bytes], *, nullable: bool) -> Write:
    """The most frequent kind of field, without a detour."""
    if nullable:
        return lambda _o, job, _f: (
            NULL if (value := getattr(job, name)) is None else encode(value)
        )
    return lambda _o, job, _f: encode(getattr(job, name))


def _leaf(read: Read, encode: Callable[[Any], bytes]) -> Write:
    def write(obj: Any, job: JobRecord, facts: Facts) -> bytes:
        value = read(obj, job, facts)
        return NULL if value is None else encode(value)

    return write


def _nested(make: Read, shape: _Shape) -> Write:
    template = shape.template(None, cast("Any", None), cast("Any", None), constants=False)
    writes = [field.write for field in shape.fields]

    def write(obj: Any, job: JobRecord, facts: Facts) -> bytes:
        inner = make(obj, job, facts)
        if inner is None:
            return NULL
        return template % tuple([one(inner, job, facts) for one in writes])

    return write


def _encoder(kind: GraphQLLeafType) -> Callable[[Any], bytes]:
    """From a value to JSON, the same as serialising and then encoding it."""
    if isinstance(kind, GraphQLEnumType):
        known = {
            value.value: msgspec.json.encode(kind.serialize(value.value))
            for value in kind.values.values()
        }
        return lambda value: known.get(value) or msgspec.json.encode(kind.serialize(value))
    if kind.name == "ID":
        return lambda value: msgspec.json.encode(str(value))
    if kind.name == "DateTime":
        return lambda value: b'"%b"' % value.isoformat().encode()
    if kind in (GraphQLInt, GraphQLString, GraphQLBoolean):
        return msgspec.json.encode
    return lambda value: msgspec.json.encode(kind.serialize(value))


def _key(key: str) -> bytes:
    return msgspec.json.encode(key) + b":"


def _escaped(text: bytes) -> bytes:
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
        return Projection(_Compiler(schema, fragments, variables, operation).root(kind))
    except _NotFlatError:
        return None
