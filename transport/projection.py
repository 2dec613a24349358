"""Selections of a job, compiled once per document: from a record straight to JSON bytes.

graphql-core takes some 130 µs for an execution, a projection 2 to 10. Both give the same bytes; a
property test with generated documents holds them against each other. What is not compiled here
(lineage, the job's generation) is left to graphql-core as a whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, cast

import msgspec
from graphql import (
    GraphQLEnumType,
    GraphQLNonNull,
    GraphQLObjectType,
    get_named_type,
    is_leaf_type,
)
from graphql.execution.collect_fields import collect_fields, collect_subfields

from db.records import JobRecord
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

Write: TypeAlias = "Callable[[Any, JobRecord, Facts], bytes]"
"""Writes a field's value: the object that it is a field of, the job, and what else is known."""

Nested: TypeAlias = "Callable[[Any, JobRecord, Facts], Any]"

NULL = b"null"


class _NotFlatError(Exception):
    """Something is selected that only graphql-core resolves."""


# Fields that are objects: how the object comes about. The same as their resolvers do.
_NESTED: dict[tuple[str, str], Nested] = {
    ("Job", "preview"): lambda _o, job, _f: (
        Preview(key=job.preview_key) if job.preview_key else None
    ),
    ("Job", "image"): lambda _o, job, _f: Image.from_job(job),
    ("Job", "fallOver"): lambda _o, job, _f: FallOver.from_job(job),
    ("Job", "error"): lambda _o, job, _f: JobError.from_job(job),
    ("Job", "eta"): lambda _o, job, facts: Eta.from_estimate(facts.eta(job)),
}
# Fields with resolvers whose values are leaves.
_RESOLVED: dict[tuple[str, str], Nested] = {
    ("Job", "id"): lambda _o, job, _f: str(job.id),
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


class Projection:
    """A compiled `jobProgress` selection."""

    def __init__(self, write: Write) -> None:
        self._write = write

    def render(self, job: JobRecord, facts: Facts) -> bytes:
        """`{"data": …}` for one version of a job. Raises NotKnownYet."""
        return self._write(job, job, facts)


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

    def root(self, kind: GraphQLObjectType) -> Write:
        """The selection of the operation itself: one field that yields jobs."""
        collected = collect_fields(
            self._schema, self._fragments, self._variables, kind, self._operation
        )
        ((key, nodes),) = collected.grouped_field_set.items()
        if nodes[0].node.name.value != "jobProgress":
            raise _NotFlatError
        job = self._object(cast("GraphQLObjectType", self._schema.type_map["Job"]), nodes)
        start, end = b'{"data":{' + _key(key), b"}}"
        return lambda obj, record, facts: start + job(obj, record, facts) + end

    def _object(self, kind: GraphQLObjectType, nodes: list[FieldDetails]) -> Write:
        collected = collect_subfields(
            self._schema, self._fragments, self._variables, self._operation, kind, nodes
        )
        parts: list[bytes] = []
        writes: list[Write] = []
        text = b"{"
        for key, details in collected.grouped_field_set.items():
            text += _key(key)
            write = self._field(kind, details)
            if isinstance(write, bytes):
                text += write + b","
                continue
            parts.append(text.replace(b"%", b"%%") + b"%b")
            writes.append(write)
            text = b","
        template = b"".join(parts) + text.rstrip(b",").replace(b"%", b"%%") + b"}"

        def render(obj: Any, job: JobRecord, facts: Facts) -> bytes:
            return template % tuple([write(obj, job, facts) for write in writes])

        return render

    def _field(self, kind: GraphQLObjectType, details: list[FieldDetails]) -> Write | bytes:
        name = details[0].node.name.value
        if name == "__typename":
            return msgspec.json.encode(kind.name)
        field_type = kind.fields[name].type
        named = cast("GraphQLNamedType", get_named_type(field_type))
        if make := _NESTED.get((kind.name, name)):
            return _maybe(make, self._object(cast("GraphQLObjectType", named), details))
        if details[0].node.arguments or not is_leaf_type(named):
            raise _NotFlatError
        nullable = not isinstance(field_type, GraphQLNonNull)
        resolved = _RESOLVED.get((kind.name, name))
        if resolved is None:
            resolved = _attribute(kind, name)
        return _leaf(resolved, named, nullable=nullable)


def _attribute(kind: GraphQLObjectType, name: str) -> Nested:
    field = kind.fields[name].extensions["strawberry-definition"]
    python_name: str = field.python_name
    if field.base_resolver is not None:
        raise _NotFlatError
    if kind.name == "Job" and python_name not in JobRecord.__struct_fields__:
        raise _NotFlatError
    return lambda obj, _job, _facts: getattr(obj, python_name)


def _maybe(make: Nested, write: Write) -> Write:
    def render(obj: Any, job: JobRecord, facts: Facts) -> bytes:
        inner = make(obj, job, facts)
        return NULL if inner is None else write(inner, job, facts)

    return render


def _leaf(get: Nested, kind: GraphQLLeafType, *, nullable: bool) -> Write:
    encode = _encoder(kind)
    if not nullable:
        return lambda obj, job, facts: encode(get(obj, job, facts))

    def render(obj: Any, job: JobRecord, facts: Facts) -> bytes:
        value = get(obj, job, facts)
        return NULL if value is None else encode(value)

    return render


def _encoder(kind: GraphQLLeafType) -> Callable[[Any], bytes]:
    if isinstance(kind, GraphQLEnumType):
        known: dict[Any, bytes] = {}

        def encode_enum(value: Any) -> bytes:
            if value not in known:
                known[value] = msgspec.json.encode(kind.serialize(value))
            return known[value]

        return encode_enum
    return lambda value: msgspec.json.encode(kind.serialize(value))


def _key(key: str) -> bytes:
    return msgspec.json.encode(key) + b":"


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
