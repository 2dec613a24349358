"""A request that is answered before any GraphQL is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class Problem(Exception):  # an answer, not a failure of ours
    """An HTTP answer with one GraphQL error.

    Args:
        status: its HTTP status.
        code: the error's.
        message: what was wrong and what to do.
        headers: of the answer, beside those that all have.
        extensions: of the error, beside its code.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        headers: Mapping[str, str] | None = None,
        extensions: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})
        self.body = {"errors": [error_of(message, code, extensions)]}


def error_of(
    message: str, code: str, extensions: Mapping[str, object] | None = None
) -> dict[str, Any]:
    """A GraphQL error as it is sent, of what has no place in a document."""
    return {"message": message, "extensions": {"code": code, **(extensions or {})}}
