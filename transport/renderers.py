"""From a version of a job to the bytes of a result, in two ways that give the same bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from resolvers.facts import NotKnownYet
from schema.jobs import Job
from transport.masking import mask

if TYPE_CHECKING:
    from uuid import UUID

    from graphql import ExecutionResult

    from db.records import JobRecord
    from resolvers.facts import Facts
    from transport.execution import Execution
    from transport.projection import Projection


class Renderer(Protocol):
    """Renders results of one group of subscriptions: same document, variables and rights."""

    def now(self, job: JobRecord) -> bytes | None:
        """The result, if nothing has to be waited for."""
        ...

    async def soon(self, job: JobRecord) -> bytes:
        """The result, after everything that it needs was read."""
        ...


class Projecting:
    """The compiled way."""

    __slots__ = ("_facts", "_projection", "_templates")

    def __init__(self, projection: Projection, facts: Facts) -> None:
        self._projection = projection
        self._facts = facts
        self._templates: dict[UUID, bytes] = {}

    def now(self, job: JobRecord) -> bytes | None:
        """The result; None while a fact is missing."""
        try:
            return self._render(job)
        except NotKnownYet:
            return None

    async def soon(self, job: JobRecord) -> bytes:
        """The result, facts fetched. Raises what the database raises."""
        while True:
            try:
                return self._render(job)
            except NotKnownYet as missing:
                await self._facts.fetch(missing)

    def _render(self, job: JobRecord) -> bytes:
        template = self._templates.get(job.id)
        if template is None:
            template = self._templates[job.id] = self._projection.template(job, self._facts)
        return self._projection.render(template, job, self._facts)


class Executing:
    """graphql-core's way, for everything that it can resolve. Errors are masked."""

    def __init__(self, execution: Execution, operation_name: str | None) -> None:
        self._execution = execution
        self._operation_name = operation_name

    def now(self, job: JobRecord) -> bytes | None:
        """Always None: some resolver may have to wait."""
        del job

    async def soon(self, job: JobRecord) -> bytes:
        """The result. Errors are part of it, nothing is raised."""
        result = await self._execution.result(Job.from_record(job))
        return msgspec.json.encode(self._payload(result))

    def _payload(self, result: ExecutionResult) -> dict[str, Any]:
        payload: dict[str, Any] = {"data": result.data}
        if result.errors:
            payload["errors"] = [
                mask(error, self._operation_name).formatted for error in result.errors
            ]
        return payload
