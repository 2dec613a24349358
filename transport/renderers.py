"""From a version of a job to the bytes of a result, in two ways that give the same bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from resolvers.facts import NotKnownYet
from schema.jobs import Job
from transport.masking import told

if TYPE_CHECKING:
    from graphql import ExecutionResult

    from jobs.changes import JobChange, JobRest
    from jobs.feed import FollowedJob
    from resolvers.facts import Facts
    from transport.execution import Execution
    from transport.projection import Projection


class Rendered:
    """A job that a group shows, and what its renderer keeps for it."""

    __slots__ = ("job", "rest", "template")

    job: FollowedJob
    """Set once it was read."""

    def __init__(self) -> None:
        self.rest: JobRest | None = None
        """The rest of the job when it was last rendered."""
        self.template: bytes | None = None
        """Made with that rest."""


class Renderer(Protocol):
    """Renders results of one group of subscriptions: same document, variables and rights."""

    def now(self, rendered: Rendered, change: JobChange) -> bytes | None:
        """The result for a version of a job, if nothing has to be waited for."""
        ...

    async def soon(self, rendered: Rendered, change: JobChange) -> bytes:
        """The same, after everything that it needs was read."""
        ...


class Projecting:
    """The compiled way."""

    __slots__ = ("_facts", "_projection", "_render")

    def __init__(self, projection: Projection, facts: Facts) -> None:
        self._projection = projection
        self._render = projection.render
        self._facts = facts

    def now(self, rendered: Rendered, change: JobChange) -> bytes | None:
        """The result; None while a fact is missing."""
        template, read = rendered.template, rendered.job.read
        assert read is not None
        if template is None or rendered.rest is not change.rest:
            template = self._prepare(rendered, change)
        try:
            return self._render(template, read, change.rest, change, self._facts)
        except NotKnownYet:
            return None

    async def soon(self, rendered: Rendered, change: JobChange) -> bytes:
        """The result, facts fetched. Raises what the database raises."""
        template, read = self._prepare(rendered, change), rendered.job.read
        assert read is not None
        while True:
            try:
                return self._render(template, read, change.rest, change, self._facts)
            except NotKnownYet as missing:
                await self._facts.fetch(missing)

    def _prepare(self, rendered: Rendered, change: JobChange) -> bytes:
        read = rendered.job.read
        assert read is not None
        template = self._projection.template(read, change.rest, change, self._facts)
        # Of a job that only waits one version is shown: half a kilobyte would be kept for nothing.
        if rendered.rest is not None:
            rendered.template = template
        rendered.rest = change.rest
        return template


class Executing:
    """graphql-core's way, for everything that it can resolve. Errors are masked."""

    def __init__(self, execution: Execution, operation_name: str | None) -> None:
        self._execution = execution
        self._operation_name = operation_name

    def now(self, rendered: Rendered, change: JobChange) -> bytes | None:
        """Always None: some resolver may have to wait."""
        del rendered, change

    async def soon(self, rendered: Rendered, change: JobChange) -> bytes:
        """The result. Errors are part of it, nothing is raised."""
        result = await self._execution.result(Job.from_record(rendered.job.at(change)))
        return msgspec.json.encode(self._payload(result))

    def _payload(self, result: ExecutionResult) -> dict[str, Any]:
        payload: dict[str, Any] = {"data": result.data}
        if result.errors:
            payload["errors"] = [told(error, self._operation_name) for error in result.errors]
        return payload
