"""Which media type an answer has, by the request's Accept header (RFC 9110, section 12.5.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from transport.problem import Problem
from transport.stream_formats import EVENT_STREAM, MULTIPART_STREAM

if TYPE_CHECKING:
    from transport.stream_formats import StreamFormat

JSON = "application/json"
GRAPHQL_RESPONSE = "application/graphql-response+json"
VARY = "accept, authorization"
"""Another media type's answer, or another viewer's, is another answer."""
MAX_ACCEPT_CHARS = 2000

_OFFERS = {
    # What a range of the header stands for, best first. `*/*` gets JSON, as the specification
    # asks until its watershed (1 January 2025 in the text, not yet taken up by its audits).
    GRAPHQL_RESPONSE: GRAPHQL_RESPONSE,
    JSON: JSON,
    "application/*": JSON,
    "*/*": JSON,
}


@dataclass(frozen=True, slots=True)
class Accepted:
    """What the client takes, and we speak.

    Attributes:
        media_type: for one result; None: it takes streams only.
        stream: for many results; None: it takes no stream. urql lists streams with every query, so
            a query is answered with one only where `media_type` is None.
    """

    media_type: str | None
    stream: StreamFormat | None


def negotiate(accept: str | None) -> Accepted:
    """The best that the client takes and we speak. Raises Problem 406."""
    if accept is None or not accept.strip():
        return Accepted(JSON, None)
    best, best_quality = None, 0.0
    stream, stream_quality = None, 0.0
    for part in accept[:MAX_ACCEPT_CHARS].split(","):
        media_range, _, parameters = part.lower().partition(";")
        quality = _quality(parameters)
        offer = _OFFERS.get(media_range.strip())
        if offer and quality > best_quality:
            best, best_quality = offer, quality
        offered = _stream(media_range.strip(), parameters)
        if offered and quality > stream_quality:
            stream, stream_quality = offered, quality
    if best is None and stream is None:
        raise Problem(
            406, "NOT_ACCEPTABLE", f"The answer can be {GRAPHQL_RESPONSE} or {JSON}: accept one."
        )
    return Accepted(best, stream)


def _stream(media_range: str, parameters: str) -> StreamFormat | None:
    if media_range == "text/event-stream":
        return EVENT_STREAM
    # Without its parameter it stands for incremental delivery, which is not spoken here.
    if media_range == "multipart/mixed" and "subscriptionspec=1.0" in parameters.replace('"', ""):
        return MULTIPART_STREAM
    return None


def _quality(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return min(max(float(value), 0.0), 1.0)
            except ValueError:
                return 0.0
        if name.strip() == "charset" and value.strip() not in ("utf-8", '"utf-8"'):
            return 0.0
    return 1.0
