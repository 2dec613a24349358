"""Subscriptions with the same document, variables and rights, executed as one.

One event costs one rendering, however many clients follow: each gets the shared bytes with its own
operation's id around them.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from graphql import GraphQLError

from core.vocabulary import JobState
from transport.deadline import operation_deadline
from transport.masking import mask

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from jobs.changes import JobChange
    from jobs.feed import Feed, FollowedJob
    from transport.renderers import Renderer

Result: TypeAlias = "tuple[UUID, bytes]"
"""A job's id, and the `{"data": …}` that says how the job is now."""

Version: TypeAlias = "tuple[FollowedJob, JobChange]"
Shown: TypeAlias = "tuple[int, bytes]"
"""A version's number and its result."""


class Wire(Protocol):
    """How results look on the wire, for all members that differ in their operation's id only."""

    def parts(self, results: Sequence[Result]) -> list[bytes]:
        """Bytes to be joined by the id of the operation; hashable wires share them."""
        ...


class Member(Protocol):
    """One client's subscription. All calls come on the event loop; none may block or raise."""

    @property
    def wire(self) -> Wire:
        """How results are written to it."""
        ...

    def deliver(self, results: Sequence[Result], parts: list[bytes]) -> None:
        """Send results: `parts` are those of its wire."""
        ...

    def end(self) -> None:
        """All jobs have ended; nothing follows."""
        ...

    def fail(self, errors: list[dict[str, Any]]) -> None:
        """The subscription could not be started, or cannot go on; nothing follows."""
        ...


class Group:
    """Its members get a snapshot of each job, then every newer version, until all have ended.

    Args:
        job_ids: what they follow.
        user_id: whose jobs these must be.
        renderer: makes results.
        count_delivered: told how many results were handed out, once for all members.
        on_empty: called once, when there is nobody and nothing left.
    """

    def __init__(
        self,
        feed: Feed,
        job_ids: Sequence[UUID],
        user_id: str,
        renderer: Renderer,
        *,
        operation_name: str | None,
        count_delivered: Callable[[float], None],
        on_changed: Callable[[Group], None],
        on_empty: Callable[[], None],
    ) -> None:
        self._feed = feed
        self._job_ids = tuple(job_ids)
        self._user_id = user_id
        self._renderer = renderer
        self._operation_name = operation_name
        self._count_delivered = count_delivered
        self._on_changed = on_changed
        self._on_empty = on_empty
        self._members: dict[Member, None] = {}
        self._changed: list[Version] = []
        # The versions that every member has been sent; complete once the group is open.
        self._shown: dict[FollowedJob, Shown] = {}
        self._running: set[FollowedJob] = set()
        self._is_open = False
        self._is_over = False
        self._waiting: dict[FollowedJob, JobChange] = {}
        self._is_rendering = False

    @property
    def size(self) -> int:
        """How many members it has."""
        return len(self._members)

    def join(self, member: Member) -> None:
        """Add a member; it gets its snapshot now, or when the group opens."""
        self._members[member] = None
        if self._is_open:
            results = [(job.id, payload) for job, (_, payload) in self._shown.items()]
            self._deliver(results, [member])

    def leave(self, member: Member) -> None:
        """Send nothing more to a member. The last one closes the group."""
        if self._members.pop(member, self) is None and not self._members:
            self._close()

    async def open(self, timeout_s: float) -> None:
        """Read what the jobs are now and show it. Never raises: members are told."""
        try:
            async with operation_deadline(timeout_s):
                rendered = await self._snapshot()
        except Exception as error:
            self.fail(error)
            return
        self._is_open = True
        self._show(rendered)
        self.flush()
        if self.needs_rendering:
            await self.render_waiting()

    async def _snapshot(self) -> list[tuple[FollowedJob, JobChange, bytes]]:
        jobs = await self._feed.watch(self._job_ids, self._user_id, self)
        versions = [(job, job.newest) for job in jobs if job.newest is not None]
        self._running = {job for job, change in versions if _is_alive(change)}
        rendered = [self._renderer.now(job, change) for job, change in versions]
        if None in rendered:
            self._is_rendering = True
            soon = [self._renderer.soon(job, change) for job, change in versions]
            rendered = await asyncio.gather(*soon)
            self._is_rendering = False
        return [(*version, one) for version, one in zip(versions, rendered, strict=True) if one]

    def on_change(self, job: FollowedJob, change: JobChange) -> None:
        """A job has a newer version."""
        if not self._changed:
            self._on_changed(self)
        self._changed.append((job, change))

    def flush(self) -> None:
        """Show what has changed since the last call, as far as it can be rendered at once."""
        if not self._is_open or self._is_over:
            return
        changed, self._changed = self._changed, []
        rendered: list[tuple[FollowedJob, JobChange, bytes]] = []
        for job, change in changed:
            if change.version <= self._shown[job][0]:
                continue  # it came before the snapshot
            payload = None
            if not self._waiting and not self._is_rendering:
                payload = self._renderer.now(job, change)
            if payload is None:
                # Newest only: what is slow to render must not pile up.
                self._waiting[job] = change
            else:
                rendered.append((job, change, payload))
        if rendered:
            self._show(rendered)
        else:
            # What came before the snapshot may have been all that kept it from its end.
            self._end_if_done()

    @property
    def needs_rendering(self) -> bool:
        """Whether `render_waiting` must be run."""
        return bool(self._waiting) and not self._is_rendering and not self._is_over

    async def render_waiting(self) -> None:
        """Show what had to wait for a read. Never raises: members are told."""
        self._is_rendering = True
        try:
            while self._waiting and not self._is_over:
                versions = list(self._waiting.items())
                self._waiting.clear()
                soon = [self._renderer.soon(job, change) for job, change in versions]
                payloads = await asyncio.gather(*soon)
                self._show(
                    [(*one, payload) for one, payload in zip(versions, payloads, strict=True)]
                )
        except Exception as error:
            self.fail(error)
        finally:
            self._is_rendering = False

    def _show(self, rendered: list[tuple[FollowedJob, JobChange, bytes]]) -> None:
        if self._is_over:
            return
        results: list[Result] = []
        for job, change, payload in rendered:
            self._shown[job] = (change.version, payload)
            results.append((job.id, payload))
            if not _is_alive(change):
                self._running.discard(job)
        # As a list: whoever cannot be written to any more leaves while this goes on.
        self._deliver(results, list(self._members))
        self._end_if_done()

    def _deliver(self, results: Sequence[Result], members: Sequence[Member]) -> None:
        self._count_delivered(len(results) * len(members))
        if len(members) == 1:
            members[0].deliver(results, members[0].wire.parts(results))
            return
        parts: dict[Wire, list[bytes]] = {}
        for member in members:
            wire = member.wire
            if wire not in parts:
                parts[wire] = wire.parts(results)
            member.deliver(results, parts[wire])

    def _end_if_done(self) -> None:
        if not self._running and not self._waiting and not self._changed:
            self._end()

    def _end(self) -> None:
        members = list(self._members)
        self._close()
        for member in members:
            member.end()

    def fail(self, error: Exception) -> None:
        """End with an error; members are told what they may know of it."""
        located = GraphQLError(str(error), path=["jobProgress"], original_error=error)
        formatted: Any = mask(located, self._operation_name).formatted
        members = list(self._members)
        self._close()
        for member in members:
            member.fail([formatted])

    def _close(self) -> None:
        if self._is_over:
            return
        self._is_over = True
        self._members.clear()
        self._feed.unwatch(self._job_ids, self)
        self._on_empty()


def _is_alive(change: JobChange) -> bool:
    # Not by a set of states: hashing a member of an enum calls Python.
    return change.state is JobState.RUNNING or change.state is JobState.PENDING
