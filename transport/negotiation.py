"""Which media type an answer has, by the request's Accept header (RFC 9110, section 12.5.1)."""

from __future__ import annotations

from transport.problem import Problem

JSON = "application/json"
GRAPHQL_RESPONSE = "application/graphql-response+json"
MAX_ACCEPT_CHARS = 2000

_OFFERS = {
    # What a range of the header stands for, best first. `*/*` gets JSON, as the specification
    # asks until its watershed (1 January 2025 in the text, not yet taken up by its audits).
    GRAPHQL_RESPONSE: GRAPHQL_RESPONSE,
    JSON: JSON,
    "application/*": JSON,
    "*/*": JSON,
}


def negotiate(accept: str | None) -> str:
    """The best media type that the client takes and we speak. Raises Problem 406."""
    if accept is None or not accept.strip():
        return JSON
    best, best_quality = None, 0.0
    for part in accept[:MAX_ACCEPT_CHARS].split(","):
        media_range, _, parameters = part.partition(";")
        offer = _OFFERS.get(media_range.strip().lower())
        quality = _quality(parameters)
        if offer and quality > best_quality:
            best, best_quality = offer, quality
    if best is None:
        raise Problem(
            406, "NOT_ACCEPTABLE", f"The answer can be {GRAPHQL_RESPONSE} or {JSON}: accept one."
        )
    return best


def _quality(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                return min(max(float(value), 0.0), 1.0)
            except ValueError:
                return 0.0
        if name.strip().lower() == "charset" and value.strip().lower() not in ("utf-8", '"utf-8"'):
            return 0.0
    return 1.0
