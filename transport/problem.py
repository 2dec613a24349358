"""A request that is answered before any GraphQL is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Problem(Exception):  # an answer, not a failure of ours
    """An HTTP answer with one GraphQL error; the message says what was wrong and what to do."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})
        self.body = {"errors": [{"message": message, "extensions": {"code": code}}]}
