"""All subscriptions of one API process: who follows the same thing in the same way, shares it."""

from __future__ import annotations

import asyncio
import sys
from contextvars import Context
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from graphql import GraphQLError, get_argument_values
from graphql.execution.collect_fields import collect_fields

from core.errors import JobNotFound, MintariError
from resolvers.facts import Facts
from resolvers.jobs import followed_jobs
from schema.loaders import make_loaders
from transport.compiled.plans import Plans
from transport.context import context_of
from transport.deadline import in_time
from transport.execution import build_execution, core_schema
from transport.groups import Group
from transport.masking import told
from transport.renderers import Executing, Projecting

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Mapping

    import strawberry
    from graphql import DocumentNode

    from resolvers.context import App, Request
    from transport.execution import Execution
    from transport.groups import Member
    from transport.renderers import Renderer


class RefusedError(Exception):
    """A subscription that cannot be started; `errors` are what the client is told."""

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        super().__init__(errors[0]["message"])
        self.errors = errors


class _Asked(NamedTuple):
    """Jobs, whose ids are as the client gave them, and how results are made."""

    job_ids: list[str]
    renderer: Renderer


class Subscriptions:
    """Starts subscriptions and keeps their groups. `run` must be running."""

    def __init__(self, schema: strawberry.Schema, app: App) -> None:
        self._schema = schema
        self._core = core_schema(schema)
        self._app = app
        self._groups: dict[object, Group] = {}
        self.changed: list[Group] = []
        """Groups with results to hand out at the end of this batch of changes."""
        self._plans = Plans(schema)
        self._opening: list[Group] = []
        """Groups that began in this turn of the event loop."""
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
        text = sys.intern(text)
        key = (text, operation_name, viewer_id, _canonical(variables))
        group = self._groups.get(key)
        if group is None:
            group = self._make(key, request, text, document, operation_name, variables)
            self._groups[key] = group
            group.join(member)
            self._opening.append(group)
            if len(self._opening) == 1:
                # What is done for all belongs to the log of none of their requests.
                self.start(self._open(), Context())
        else:
            group.join(member)
        return group

    def _make(
        self,
        key: object,
        request: Request,
        text: str,
        document: DocumentNode,
        operation_name: str | None,
        variables: Mapping[str, Any] | None,
    ) -> Group:
        try:
            asked = self._asked(request, text, document, operation_name, variables)
            viewer, job_ids = followed_jobs(request, asked.job_ids)
        except MintariError as error:
            located = GraphQLError(str(error), path=["jobProgress"], original_error=error)
            raise _refused([located], operation_name) from None
        except GraphQLError as error:
            raise _refused([error], operation_name) from None
        feed, user_id = self._app.feed, viewer.user_id
        return Group(
            self, key, feed, job_ids, user_id, asked.renderer, operation_name=operation_name
        )

    def _asked(
        self,
        request: Request,
        text: str,
        document: DocumentNode,
        operation_name: str | None,
        variables: Mapping[str, Any] | None,
    ) -> _Asked:
        """What is to be followed. Raises GraphQLError, RefusedError."""
        app = self._app
        if followed := self._plans.follow(text, document, operation_name, variables):
            facts = Facts(partial(make_loaders, app, request), app.estimates)
            return _Asked(followed.job_ids, Projecting(followed.projection, facts))
        execution = self._build(request, document, operation_name, variables)
        return _Asked(self._argument(execution), Executing(execution, operation_name))

    def _build(
        self,
        request: Request,
        document: DocumentNode,
        operation_name: str | None,
        variables: Mapping[str, Any] | None,
    ) -> Execution:
        context = context_of(self._app, request)
        built = build_execution(self._schema, document, variables, operation_name, context)
        if isinstance(built, list):
            raise _refused(built, operation_name)
        return built

    def _argument(self, execution: Execution) -> list[str]:
        """Ids of jobs, as the client gave them. Raises GraphQLError."""
        kind = self._core.subscription_type
        assert kind is not None
        collected = collect_fields(
            self._core, execution.fragments, execution.variables, kind, execution.operation
        )
        for details in collected.grouped_field_set.values():
            field = kind.fields[details[0].node.name.value]
            return get_argument_values(field, details[0].node, execution.variables)["jobIds"]
        raise GraphQLError("Directives leave nothing to subscribe to.")

    async def _open(self) -> None:
        """Open the groups that began together: a task and a timer for each would cost more."""
        groups, self._opening = self._opening, []
        timeout_s = self._app.settings.operation_timeout_s
        try:
            found = await in_time(self._app.feed.watch(it.wanted for it in groups), timeout_s)
        except Exception as error:
            for group in groups:
                group.fail(error)
            return
        for group, jobs in zip(groups, found, strict=True):
            if isinstance(jobs, JobNotFound):
                group.fail(jobs)
            else:
                group.open(jobs, timeout_s)

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

    def start(self, work: Coroutine[Any, Any, None], context: Context | None = None) -> None:
        """Run what must wait, in this context; None: in the caller's."""
        assert self._tasks is not None, "Subscriptions.run is not running"
        self._tasks.create_task(work, context=context)

    def forget(self, group: Group) -> None:
        """There is nobody and nothing left of a group."""
        self._groups.pop(group.key, None)


def _canonical(variables: Mapping[str, Any] | None) -> bytes:
    return msgspec.json.encode(variables or {}, order="sorted")


def _refused(errors: Iterable[GraphQLError], operation_name: str | None) -> RefusedError:
    return RefusedError([told(error, operation_name) for error in errors])
