"""Names in Redis. All have the prefix, so that deployments can share a Redis.

What one script, transaction or pipeline touches together has the same hash tag, the part in braces:
a Cluster keeps it in one slot, on one node. Jobs have none, so all nodes share their changes.
A prefix with braces of its own puts all of a deployment in one slot.
Source: https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID


class Channels:
    """The names of one deployment."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.queue = self._tagged("queue")
        self.wake = f"{self.queue}:wake"
        self.control = f"{self.queue}:control"
        self.revoked = f"{prefix}:revoked"
        # Another name than the release before: its changes were written in another way.
        self._job = f"{prefix}:change:"
        self.documents = self._tagged("documents")
        self._breaker = f"{self._tagged('breaker')}:"

    def _tagged(self, name: str) -> str:
        return f"{self.prefix}:{name}" if "{" in self.prefix else f"{{{self.prefix}:{name}}}"

    def job(self, job_id: UUID) -> str:
        """The channel of a job's changes, and the key of its newest one."""
        return f"{self._job}{job_id}"

    def ring(self, job_id: UUID, attempt: int) -> str:
        """arq's id of one attempt at a job; all keys that arq makes of it are beside the queue."""
        return f"{self.queue}:{job_id}:{attempt}"

    def breaker(self, provider: str) -> str:
        """The key of a provider's circuit breaker."""
        return f"{self._breaker}{provider}"
