"""Which HTTP status an answer has: the only place where that is decided.

GraphQL over HTTP, working draft of October 2025, section 6.4. The specification is moving (422 for
documents that do not validate, 294 for partial success are discussed): change it here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from transport.negotiation import JSON

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_BY_CODE = {
    "BAD_REQUEST": 400,
    "UNAUTHENTICATED": 401,
    "FORBIDDEN": 403,
    "RATE_LIMITED": 429,
    "OVERLOADED": 503,
    "DEADLINE_EXCEEDED": 504,
}
"""Errors that any operation can meet have their own status, whatever the media type."""


def status_of(
    media_type: str, *, has_data: bool, was_executed: bool, errors: Sequence[Mapping[str, Any]]
) -> tuple[int, dict[str, str]]:
    """Status and headers of an answer.

    `has_data`: `data` is not null. `was_executed`: the document parsed, validated and its variables
    fitted, so that the answer has a `data` entry at all.
    """
    headers: dict[str, str] = {}
    status = 200
    if not was_executed and media_type != JSON:
        status = 400
    if not has_data:
        for error in errors:
            extensions = cast("Mapping[str, Any]", error.get("extensions") or {})
            status = _BY_CODE.get(str(extensions.get("code")), status)
            if "retryAfterSeconds" in extensions:
                headers["retry-after"] = str(extensions["retryAfterSeconds"])
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    return status, headers
