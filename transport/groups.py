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
from transport.renderers import Rendered

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Sequence
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

    def changed(self, group: Group) -> None:
        """Call the group's `flush` at the end of this batch of changes."""
        ...

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
        """The job has a newer version."""
        del job
        self.group.on_change(self, change)


class Group:
    """Its members get a snapshot of each job, then every newer version, until all have ended.

    Args:
        key: what its keeper calls it.
        job_ids: what they follow.
        user_id: whose jobs these must be.
        renderer: makes results.
    """

    __slots__ = (
        "_alive",
        "_changed",
        "_feed",
        "_frames",
        "_is_open",
        "_is_over",
        "_is_rendering",
        "_keeper",
        "_members",
        "_operation_name",
        "_renderer",
        "_user_id",
        "_waiting",
        "key",
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
        self._keeper = keeper
        self.key = key
        self._feed = feed
        self._frames = {job_id: Frame(self) for job_id in job_ids}
        self._alive = len(self._frames)
        self._user_id = user_id
        self._renderer = renderer
        self._operation_name = operation_name
        self._members: dict[Member, None] = {}
        self._changed: list[tuple[Frame, JobChange]] = []
        self._is_open = False
        self._is_over = False
        self._waiting: dict[Frame, JobChange] = {}
        self._is_rendering = False

    @property
    def size(self) -> int:
        """How many members it has."""
        return len(self._members)

    def join(self, member: Member) -> None:
        """Add a member; it gets its snapshot now, or when the group opens."""
        self._members[member] = None
        if self._is_open:
            results = [(frame.job.id, frame.payload) for frame in self._frames.values()]
            self._keeper.delivered(len(results))
            member.deliver(results, member.wire.parts(results))

    def leave(self, member: Member) -> None:
        """Send nothing more to a member. The last one closes the group."""
        if self._members.pop(member, self) is None and not self._members:
            self._close()

    async def open(self, timeout_s: float) -> None:
        """Read what the jobs are now and show it. Never raises: members are told."""
        try:
            async with operation_deadline(timeout_s):
                results = await self._snapshot()
        except Exception as error:
            self.fail(error)
            return
        self._is_open = True
        if not self._is_over:
            self._keeper.delivered(self._show(results) + self.flush())

    async def _snapshot(self) -> list[Result]:
        jobs = await self._feed.watch(self._frames, self._user_id)
        versions: list[tuple[Frame, JobChange]] = []
        for job_id, job in jobs.items():
            frame = self._frames[job_id]
            frame.job = job
            assert job.newest is not None
            versions.append((frame, job.newest))
        payloads = [self._renderer.now(frame, change) for frame, change in versions]
        if None in payloads:
            soon = [self._renderer.soon(frame, change) for frame, change in versions]
            payloads = await asyncio.gather(*soon)
        results: list[Result] = []
        for (frame, change), payload in zip(versions, payloads, strict=True):
            assert payload is not None
            frame.change = change
            frame.payload = payload
            self._alive -= not _is_alive(change)
            results.append((frame.job.id, payload))
        return results

    def on_change(self, frame: Frame, change: JobChange) -> None:
        """A job has a newer version."""
        if not self._changed:
            self._keeper.changed(self)
        self._changed.append((frame, change))

    def flush(self) -> int:
        """Show what has changed since the last call, as far as it can be rendered at once.

        Returns how many results were handed out.
        """
        if not self._is_open or self._is_over:
            return 0
        changed, self._changed = self._changed, []
        results: list[Result] = []
        for frame, change in changed:
            if change.version <= frame.change.version:
                continue  # it came before the snapshot
            payload = None
            if not self._waiting and not self._is_rendering:
                payload = self._renderer.now(frame, change)
            if payload is None:
                # Newest only: what is slow to render must not pile up.
                self._waiting[frame] = change
            else:
                results.append(self._shown(frame, change, payload))
        if self._waiting and not self._is_rendering:
            self._is_rendering = True
            self._keeper.start(self._render_waiting())
        return self._show(results)

    def _shown(self, frame: Frame, change: JobChange, payload: bytes) -> Result:
        """Note what members are sent."""
        if change.rest is not frame.change.rest:
            self._alive += _is_alive(change) - _is_alive(frame.change)
        frame.change = change
        frame.payload = payload
        return (frame.job.id, payload)

    async def _render_waiting(self) -> None:
        """Show what had to wait for a read. Never raises: members are told."""
        try:
            while self._waiting and not self._is_over:
                versions = list(self._waiting.items())
                self._waiting.clear()
                payloads = await asyncio.gather(*(self._renderer.soon(*one) for one in versions))
                if not self._is_over:
                    results = [
                        self._shown(*version, payload)
                        for version, payload in zip(versions, payloads, strict=True)
                    ]
                    self._keeper.delivered(self._show(results))
        except Exception as error:
            self.fail(error)
        finally:
            self._is_rendering = False

    def _show(self, results: list[Result]) -> int:
        """Hand results out; returns how many, once for each member."""
        count = len(self._members)
        if count == 1:
            (member,) = self._members
            if results:
                member.deliver(results, member.wire.parts(results))
        elif results:
            self._share(results)
        # What came before the snapshot may have been all that kept it from its end.
        if not self._alive and not self._waiting and not self._changed:
            self._end()
        return count * len(results)

    def _share(self, results: list[Result]) -> None:
        parts: dict[Wire, list[bytes]] = {}
        # As a list: whoever cannot be written to any more leaves while this goes on.
        for member in list(self._members):
            wire = member.wire
            if wire not in parts:
                parts[wire] = wire.parts(results)
            member.deliver(results, parts[wire])

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
        self._feed.unwatch(self._frames)
        self._keeper.forget(self)


def _is_alive(change: JobChange) -> bool:
    # Not by a set of states: hashing a member of an enum calls Python.
    state = change.rest.state
    return state is JobState.RUNNING or state is JobState.PENDING
