"""Cursor paging over lists that are newest first (GraphQL Cursor Connections)."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar
from uuid import UUID

from core.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_PAGE = 100


class HasId(Protocol):
    """A record with an id that sorts by time."""

    @property
    def id(self) -> UUID:
        """UUIDv7."""
        ...


T_co = TypeVar("T_co", bound=HasId, covariant=True)


@dataclass(frozen=True, slots=True)
class Page(Generic[T_co]):
    """Some items of a list, and whether more follow."""

    items: Sequence[T_co]
    has_next: bool


def page_limit(first: int, after: str | None) -> tuple[int, UUID | None]:
    """Check the arguments of a connection. Raises InvalidInput."""
    if not 1 <= first <= MAX_PAGE:
        raise InvalidInput(f"`first` must be 1 to {MAX_PAGE}.", field="first")
    return first, None if after is None else _read_cursor(after)


def cut_page(found: Sequence[T_co], limit: int) -> Page[T_co]:
    """The page, from one item more than it holds."""
    return Page(found[:limit], len(found) > limit)


def cursor(item_id: UUID) -> str:
    """The opaque place of an item."""
    return base64.urlsafe_b64encode(item_id.bytes).rstrip(b"=").decode()


def _read_cursor(text: str) -> UUID:
    try:
        return UUID(bytes=base64.b64decode(text + "==", altchars=b"-_", validate=True))
    except (ValueError, binascii.Error):
        raise InvalidInput(
            "`after` must be an endCursor that this list gave.", field="after"
        ) from None
