"""Names in Redis. All start with the prefix, so that deployments can share a Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID


class Channels:
    """The names of one deployment."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.wake = f"{prefix}:wake"
        self.control = f"{prefix}:control"
        self.revoked = f"{prefix}:revoked"
        self.queue = f"{prefix}:queue"
        # Another name than the release before: its changes were written in another way.
        self._job = f"{prefix}:change:"
        self._breaker = f"{prefix}:breaker:"

    def job(self, job_id: UUID) -> str:
        """The channel of a job's changes, and the key of its newest one."""
        return f"{self._job}{job_id}"

    def breaker(self, provider: str) -> str:
        """The key of a provider's circuit breaker."""
        return f"{self._breaker}{provider}"
