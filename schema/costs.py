"""What fields cost, as the contract says it: the directives of IBM's cost specification.

https://ibm.github.io/graphql-specs/cost-spec.html. Clients, gateways and `transport/cost.py` read
the same. Every object costs 1 and a scalar nothing; what a field does beyond that its `@cost` says.
"""

from __future__ import annotations

from typing import Any

import strawberry
from strawberry.schema_directive import Location


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION],
    name="cost",
    description="What one call of the field costs, beside the objects that it answers with.",
)
class Cost:
    """What one call of a field costs."""

    weight: str = strawberry.directive_field(name="weight")


def _optional(name: str) -> Any:
    # Not None: the SDL would spell out every null.
    return strawberry.directive_field(name=name, default=strawberry.UNSET)


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION],
    name="listSize",
    description="How many items a field answers with: the value (or the length) of one of its"
    " slicing arguments, else the assumed size. With sized fields, it is they who hold the items.",
)
class ListSize:
    """How many items a field answers with."""

    assumed_size: int | None = _optional("assumedSize")
    slicing_arguments: list[str] | None = _optional("slicingArguments")
    sized_fields: list[str] | None = _optional("sizedFields")
    require_one_slicing_argument: bool | None = _optional("requireOneSlicingArgument")


def paged() -> ListSize:
    """Of a field that answers with a connection."""
    return ListSize(
        slicing_arguments=["first"],
        sized_fields=["edges", "nodes"],
        require_one_slicing_argument=False,
    )


SIGNED = Cost(weight="1")
"""An address is signed: cheap in a folder, a request to the storage with Supabase."""
COUNTED = Cost(weight="1")
"""Rows of others are counted."""
PAGE = Cost(weight="2")
"""A statement of its own, with a filter and an order."""
WRITE = Cost(weight="10")
"""A transaction that takes locks, and messages to workers and followers."""
PICTURE = Cost(weight="50")
"""A picture is decoded, re-encoded and stored."""
