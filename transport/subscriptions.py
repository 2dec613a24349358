"""All subscriptions of one API process: who follows the same thing in the same way, shares it."""

from __future__ import annotations

import asyncio
import sys
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import msgspec
from graphql import GraphQLError, get_argument_values
from graphql.execution.collect_fields import collect_fields

from core.errors import MintariError
from resolvers.facts import Facts
from resolvers.jobs import followed_jobs
from schema.loaders import make_loaders
from transport.context import context_of
from transport.execution import build_execution, core_schema
from transport.groups import Group
from transport.masking import mask
from transport.projection import compile_projection
from transport.renderers import Executing, Projecting

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping
    from uuid import UUID

    import strawberry
    from graphql import DocumentNode

    from core.auth import Viewer
    from resolvers.context import App, Request
    from schema.context import Context
    from transport.execution import Execution
    from transport.groups import Member
    from transport.projection import Projection
    from transport.renderers import Renderer

MAX_PROJECTIONS = 512


class RefusedError(Exception):
    """A subscription that cannot be started; `errors` are what the client is told."""

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        super().__init__(errors[0]["message"])
        self.errors = errors


class Subscriptions:
    """Starts subscriptions and keeps their groups. `run` must be running."""

    def __init__(self, schema: strawberry.Schema, app: App) -> None:
        self._schema = schema
        self._core = core_schema(schema)
        self._app = app
        self._groups: dict[object, Group] = {}
        self.changed: list[Group] = []
        """Groups with results to hand out at the end of this batch of changes."""
        self._projections: OrderedDict[object, Projection | None] = OrderedDict()
        self._tasks: asyncio.TaskGroup | None = None
        app.metrics.subscriptions.set_function(lambda: self.member_count)
        app.metrics.subscription_groups.set_function(lambda: self.group_count)
        app.metrics.followed_jobs.set_function(lambda: app.feed.followed_count)

    async def run(self) -> None:
        """Render and deliver, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            self._app.feed.on_batch = self._flush
            try:
                await asyncio.Event().wait()
            finally:
                self._app.feed.on_batch = lambda: None

    @property
    def group_count(self) -> int:
        """How many groups there are."""
        return len(self._groups)

    @property
    def member_count(self) -> int:
        """How many subscriptions there are."""
        return sum(len(group.members) for group in self._groups.values())

    def join(
        self,
        member: Member,
        request: Request,
        *,
        text: str,
        document: DocumentNode,
        operation_name: str | None,
        variables: Mapping[str, Any] | None,
    ) -> Group:
        """Start a subscription, or share one. `text` is the document's, which was found valid.

        Raises RefusedError.
        """
        viewer_id = request.viewer.user_id if request.viewer else None
        # Each client sends its own copy of the text: one is kept.
        key = (sys.intern(text), operation_name, viewer_id, _canonical(variables))
        group = self._groups.get(key)
        if group is None:
            group = self._make(key, request, document, operation_name, variables)
            self._groups[key] = group
            group.join(member)
            self.start(group.open(self._app.settings.operation_timeout_s))
        else:
            group.join(member)
        return group

    def _make(
        self,
        key: tuple[str, str | None, str | None, bytes],
        request: Request,
        document: DocumentNode,
        operation_name: str | None,
        variables: Mapping[str, Any] | None,
    ) -> Group:
        execution = self._build(document, operation_name, variables, None)
        viewer, job_ids = self._asked(execution, request, operation_name)
        if projection := self._projection(key, execution):
            facts = Facts(partial(make_loaders, self._app, request), self._app.estimates)
            renderer: Renderer = Projecting(projection, facts)
        else:
            context = context_of(self._app, request)
            execution = self._build(document, operation_name, variables, context)
            renderer = Executing(execution, operation_name)
        feed, user_id = self._app.feed, viewer.user_id
        return Group(self, key, feed, job_ids, user_id, renderer, operation_name=operation_name)

    def _build(
        self,
        document: DocumentNode,
        operation_name: str | None,
        variables: Mapping[str, Any] | None,
        context: Context | None,
    ) -> Execution:
        built = build_execution(self._schema, document, variables, operation_name, context)
        if isinstance(built, list):
            raise RefusedError([_formatted(error, operation_name) for error in built])
        return built

    def _asked(
        self, execution: Execution, request: Request, operation_name: str | None
    ) -> tuple[Viewer, list[UUID]]:
        """Who follows what. Raises RefusedError."""
        try:
            return followed_jobs(request, self._arguments(execution)["jobIds"])
        except (MintariError, GraphQLError) as error:
            if not isinstance(error, GraphQLError):
                error = GraphQLError(str(error), path=["jobProgress"], original_error=error)
            raise RefusedError([_formatted(error, operation_name)]) from None

    def _arguments(self, execution: Execution) -> dict[str, Any]:
        kind = self._core.subscription_type
        assert kind is not None
        collected = collect_fields(
            self._core, execution.fragments, execution.variables, kind, execution.operation
        )
        for details in collected.grouped_field_set.values():
            field = kind.fields[details[0].node.name.value]
            return get_argument_values(field, details[0].node, execution.variables)
        raise GraphQLError("Directives leave nothing to subscribe to.")

    def _projection(
        self, key: tuple[str, str | None, str | None, bytes], execution: Execution
    ) -> Projection | None:
        text, operation_name, _, variables = key
        # Directives depend on variables; nothing else that is selected does.
        compiled = (text, operation_name, variables if "@" in text else b"")
        if compiled not in self._projections:
            self._projections[compiled] = compile_projection(
                self._core, execution.fragments, execution.variables, execution.operation
            )
            if len(self._projections) > MAX_PROJECTIONS:
                self._projections.popitem(last=False)
        return self._projections[compiled]

    def _flush(self) -> None:
        changed, self.changed = self.changed, []
        # Counted once: a metric costs as much as rendering.
        delivered = 0
        for group in changed:
            try:
                delivered += group.flush()
            except Exception as error:
                # One group's trouble must not reach the others, nor the connection to Redis.
                group.fail(error)
        self.delivered(delivered)

    # --- what groups call ---

    def delivered(self, count: int) -> None:
        """Count results that were handed out."""
        self._app.metrics.events_delivered.inc(count)

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run what must wait."""
        assert self._tasks is not None, "Subscriptions.run is not running"
        self._tasks.create_task(work)

    def forget(self, group: Group) -> None:
        """There is nobody and nothing left of a group."""
        self._groups.pop(group.key, None)


def _canonical(variables: Mapping[str, Any] | None) -> bytes:
    return msgspec.json.encode(variables or {}, order="sorted")


def _formatted(error: GraphQLError, operation_name: str | None) -> dict[str, Any]:
    return cast("dict[str, Any]", mask(error, operation_name).formatted)
