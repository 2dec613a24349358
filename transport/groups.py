"""Subscriptions with the same document, variables and rights, executed as one.

One event costs one rendering, however many clients follow: each gets the shared bytes with its own
operation's id around them.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from graphql import GraphQLError

from core.vocabulary import JobState
from transport.deadline import in_time
from transport.masking import told
from transport.renderers import Rendered

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Mapping, Sequence
    from uuid import UUID

    from jobs.changes import JobChange
    from jobs.feed import Feed, FollowedJob
    from transport.renderers import Renderer

Result: TypeAlias = "tuple[UUID, bytes]"
"""A job's id, and the `{"data": …}` that says how the job is now."""


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


class Keeper(Protocol):
    """Who keeps the groups."""

    changed: list[Group]
    """Groups whose `flush` is called at the end of this batch of changes."""

    def delivered(self, count: int) -> None:
        """So many results were handed out."""
        ...

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run what must wait."""
        ...

    def forget(self, group: Group) -> None:
        """There is nobody and nothing left. Called once."""
        ...


class Frame(Rendered):
    """One of the jobs that a group follows, and how all of its members know it.

    It listens to its job, so that a change finds without a search what it needs: of a thousand
    subscriptions each memory that is looked into is one that no cache holds.
    """

    __slots__ = ("change", "group", "payload")

    change: JobChange
    """The version that every member has been sent, once the group is open."""
    payload: bytes
    """Its result."""

    def __init__(self, group: Group) -> None:
        super().__init__()
        self.group = group

    def on_change(self, job: FollowedJob, change: JobChange) -> None:
        """The job has a newer version: its result is handed out with this batch, or later."""
        del job
        group = self.group
        try:
            payload = None if group.must_wait else group.render(self, change)
        except Exception as error:
            # One group's trouble must not reach the others, nor the connection to Redis.
            group.fail(error)
            return
        if payload is None:
            group.wait(self, change)
            return
        if not group.results:
            group.keeper.changed.append(group)
        group.results.append(self.show(change, payload))

    def show(self, change: JobChange, payload: bytes) -> Result:
        """Note what members are sent."""
        if change.rest is not self.change.rest:
            self.group.alive += _is_alive(change) - _is_alive(self.change)
        self.change = change
        self.payload = payload
        return (self.job.id, payload)


class Group:
    """Its members get a snapshot of each job, then every newer version, until all have ended.

    Args:
        key: what its keeper calls it.
        job_ids: what they follow.
        user_id: whose jobs these must be.
        renderer: makes results.
    """

    __slots__ = (
        "_feed",
        "_first",
        "_frames",
        "_is_open",
        "_is_over",
        "_operation_name",
        "_others",
        "_renderer",
        "_user_id",
        "_waiting",
        "alive",
        "keeper",
        "key",
        "must_wait",
        "render",
        "results",
    )

    def __init__(
        self,
        keeper: Keeper,
        key: object,
        feed: Feed,
        job_ids: Iterable[UUID],
        user_id: str,
        renderer: Renderer,
        *,
        operation_name: str | None,
    ) -> None:
        self.keeper = keeper
        self.key = key
        self._feed = feed
        self._frames = {job_id: Frame(self) for job_id in job_ids}
        self.alive = len(self._frames)
        """How many of its jobs have not ended, as members know them."""
        self._user_id = user_id
        self._renderer = renderer
        self.render = renderer.now
        self._operation_name = operation_name
        # Most groups have one member: they need no dictionary.
        self._first: Member | None = None
        self._others: dict[Member, None] | None = None
        self.results: list[Result] = []
        """Of this batch of changes."""
        self._waiting: dict[Frame, JobChange] = {}
        self.must_wait = True
        """Whether versions wait: the group is not open yet, or rendering what had to wait."""
        self._is_open = False
        self._is_over = False

    @property
    def members(self) -> list[Member]:
        """Its members."""
        if self._first is None:
            return []
        return [self._first, *(self._others or ())]

    def join(self, member: Member) -> None:
        """Add a member; it gets its snapshot now, or when the group opens."""
        if self._first is None:
            self._first = member
        else:
            self._others = self._others or {}
            self._others[member] = None
        if self._is_open:
            results = self._newest()
            member.deliver(results, member.wire.parts(results))
            self.keeper.delivered(len(results))

    def leave(self, member: Member) -> None:
        """Send nothing more to a member. The last one closes the group."""
        if self._others:
            if member is self._first:
                self._first, _ = self._others.popitem()
            else:
                self._others.pop(member, None)
        elif member is self._first:
            self._close()

    @property
    def wanted(self) -> tuple[Mapping[UUID, Frame], str]:
        """What it listens to, and whose jobs these must be."""
        return self._frames, self._user_id

    def open(self, jobs: Mapping[UUID, FollowedJob], timeout_s: float) -> None:
        """Show what the jobs are now, which were just read. Never raises: members are told."""
        if self._is_over:
            return
        try:
            payloads = [self._render_first(*one) for one in jobs.items()]
        except Exception as error:
            self.fail(error)
            return
        self.alive = sum(_is_alive(frame.change) for frame in self._frames.values())
        # What was told before the jobs were read is no news.
        self._waiting.clear()
        if None in payloads:
            self.keeper.start(self._open_late(timeout_s))
        else:
            self._open(payloads)

    def _render_first(self, job_id: UUID, job: FollowedJob) -> bytes | None:
        assert job.newest is not None
        frame = self._frames[job_id]
        frame.job, frame.change = job, job.newest
        return self.render(frame, frame.change)

    async def _open_late(self, timeout_s: float) -> None:
        """The same when something else has to be read first."""
        try:
            soon = (self._renderer.soon(frame, frame.change) for frame in self._frames.values())
            payloads = await in_time(asyncio.gather(*soon), timeout_s)
        except Exception as error:
            self.fail(error)
            return
        if not self._is_over:
            self._open(payloads)

    def _open(self, payloads: Iterable[bytes | None]) -> None:
        for frame, payload in zip(self._frames.values(), payloads, strict=True):
            assert payload is not None
            frame.payload = payload
        self._is_open = True
        self.keeper.delivered(self._show(self._newest()))
        if self._waiting:
            self.keeper.start(self._render_waiting())
        else:
            self.must_wait = False

    def _newest(self) -> list[Result]:
        return [(frame.job.id, frame.payload) for frame in self._frames.values()]

    def wait(self, frame: Frame, change: JobChange) -> None:
        """Show a version when it can be rendered."""
        # Newest only: what is slow to render must not pile up.
        self._waiting[frame] = change
        if not self.must_wait:
            self.must_wait = True
            self.keeper.start(self._render_waiting())

    def flush(self) -> int:
        """Hand out the results of a batch of changes; returns how many."""
        results, self.results = self.results, []
        return 0 if self._is_over else self._show(results)

    async def _render_waiting(self) -> None:
        """Show what had to wait for a read. Never raises: members are told."""
        try:
            while self._waiting and not self._is_over:
                waiting, self._waiting = list(self._waiting.items()), {}
                payloads = await asyncio.gather(*(self._renderer.soon(*one) for one in waiting))
                if not self._is_over:
                    shown = zip(waiting, payloads, strict=True)
                    results = [frame.show(change, it) for (frame, change), it in shown]
                    self.keeper.delivered(self._show(results))
        except Exception as error:
            self.fail(error)
        finally:
            self.must_wait = False

    def _show(self, results: list[Result]) -> int:
        """Hand results out; returns how many, once for each member."""
        others, first = self._others, self._first
        if results and others:
            self._share(results)
        elif results and first is not None:
            first.deliver(results, first.wire.parts(results))
        # What came before the snapshot may have been all that kept it from its end.
        if not self.alive and not self._waiting:
            self._end()
        return len(results) * (1 + len(others)) if others else len(results)

    def _share(self, results: list[Result]) -> None:
        parts: dict[Wire, list[bytes]] = {}
        # A list of its own: whoever cannot be written to any more leaves while this goes on.
        for member in self.members:
            wire = member.wire
            if wire not in parts:
                parts[wire] = wire.parts(results)
            member.deliver(results, parts[wire])

    def _end(self) -> None:
        members = self.members
        self._close()
        for member in members:
            member.end()

    def fail(self, error: Exception) -> None:
        """End with an error; members are told what they may know of it."""
        located = GraphQLError(str(error), path=["jobProgress"], original_error=error)
        refusal = told(located, self._operation_name)
        members = self.members
        self._close()
        for member in members:
            member.fail([refusal])

    def _close(self) -> None:
        if self._is_over:
            return
        self._is_over = True
        self._first = self._others = None
        self._feed.unwatch(self._frames)
        self.keeper.forget(self)


def _is_alive(change: JobChange) -> bool:
    # Not by a set of states: hashing a member of an enum calls Python.
    state = change.rest.state
    return state is JobState.RUNNING or state is JobState.PENDING
