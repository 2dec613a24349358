"""What clients told about their steps, until all have told it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Collection

WITHIN_S = 90


@dataclass
class Book:
    """Facts by client, step and what they are about."""

    facts: dict[tuple[str, str, str], dict[str, Any]] = field(
        default_factory=dict[tuple[str, str, str], "dict[str, Any]"]
    )
    failures: list[str] = field(default_factory=list[str])

    def tell(self, client: str, step: str, what: str, **facts: Any) -> None:
        if what == "failed":
            self.failures.append(f"{client}, {step}: {facts}")
        self.facts[client, step, what] = facts

    async def told(
        self, step: str, what: str, clients: Collection[str]
    ) -> dict[str, dict[str, Any]]:
        """The facts of these clients, once all have told them. Fails as soon as one has failed."""

        async def all_told() -> bool:
            assert not self.failures, "\n".join(self.failures)
            return all((client, step, what) in self.facts for client in clients)

        try:
            await wait_until(all_told, within_s=WITHIN_S, what=f"{what} of {step}")
        except AssertionError as error:
            silent = [client for client in clients if (client, step, what) not in self.facts]
            raise AssertionError(f"{error}; nothing from {silent}") from None
        return {client: self.facts[client, step, what] for client in clients}
