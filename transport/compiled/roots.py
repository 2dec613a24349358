"""What compiled operations may ask for: where each object of a selection comes from.

Functions get the object that the field is of and the request's facts; of a root field, its
arguments. They do the same as the fields' resolvers in `schema`; what is not here is left to them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from resolvers.generations import regenerate, start_generation
from resolvers.paging import cursor
from schema.pictures import Upload

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from resolvers.admission import Admitted
    from resolvers.answering import Answering
    from resolvers.context import App, Request
    from schema.inputs import JobFilter

Given: TypeAlias = "Mapping[str, Any]"
"""A field's arguments, as its resolver takes them."""
Make: TypeAlias = "Callable[[Any, Answering], Any]"
Do: TypeAlias = "Callable[[App, Request, Given], Awaitable[Admitted]]"


def _jobs(given: Given, facts: Answering) -> Any:
    chosen: JobFilter | None = given.get("filter")
    states = chosen.states if chosen else None
    generation_id = chosen.generation_id if chosen else None
    return facts.page_of_jobs(given["first"], given.get("after"), states, generation_id)


QUERIES: dict[str, Make] = {
    "job": lambda given, facts: facts.job_by_id(given["id"]),
    "generation": lambda given, facts: facts.generation_by_id(given["id"]),
    "jobs": _jobs,
    "generations": lambda given, facts: facts.page_of_generations(
        given["first"], given.get("after")
    ),
}


class Mutation(NamedTuple):
    """What a mutation does, and its union's member for success."""

    do: Do
    success: str


def _start(app: App, request: Request, given: Given) -> Awaitable[Admitted]:
    return start_generation(app, request, given["input"].to_request())


def _again(app: App, request: Request, given: Given) -> Awaitable[Admitted]:
    return regenerate(app, request, given["input"].to_request())


MUTATIONS = {
    "startGeneration": Mutation(_start, "GenerationStarted"),
    "regenerate": Mutation(_again, "JobRegenerated"),
}

OBJECTS: dict[tuple[str, str], Make] = {
    ("Job", "generation"): lambda job, facts: facts.generation(job),
    ("Job", "regeneratedFrom"): lambda job, facts: facts.parent(job),
    ("Job", "regenerations"): lambda job, facts: facts.regenerations(job),
    ("Generation", "jobs"): lambda generation, facts: facts.jobs_of(generation),
    ("Generation", "upload"): lambda generation, facts: (
        (upload := facts.upload(generation.upload_id)) and Upload.from_record(upload)
    ),
    ("JobConnection", "nodes"): lambda page, _: page.items,
    ("JobConnection", "edges"): lambda page, _: page.items,
    ("JobConnection", "pageInfo"): lambda page, _: page,
    ("JobEdge", "node"): lambda item, _: item,
    ("GenerationConnection", "nodes"): lambda page, _: page.items,
    ("GenerationConnection", "edges"): lambda page, _: page.items,
    ("GenerationConnection", "pageInfo"): lambda page, _: page,
    ("GenerationEdge", "node"): lambda item, _: item,
    ("GenerationStarted", "generation"): lambda admitted, _: admitted.generation,
    ("JobRegenerated", "job"): lambda admitted, _: admitted.jobs[0],
}

LEAVES: dict[tuple[str, str], Make] = {
    ("JobEdge", "cursor"): lambda item, _: cursor(item.id),
    ("GenerationEdge", "cursor"): lambda item, _: cursor(item.id),
    ("PageInfo", "hasNextPage"): lambda page, _: page.has_next,
    ("PageInfo", "endCursor"): lambda page, _: cursor(page.items[-1].id) if page.items else None,
    ("Upload", "url"): lambda upload, facts: facts.url(upload.key),
    ("Upload", "thumbnailUrl"): lambda upload, facts: facts.url(upload.thumbnail_key),
}
