"""What provider calls cost, from a table of prices and the answers' own accounts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from core.vocabulary import CostBasis

if TYPE_CHECKING:
    from collections.abc import Mapping

BUILT_IN = Path(__file__).parent / "data" / "prices.toml"
ANY_MODEL = "*"
_MILLION = 1_000_000


class PriceFileError(Exception):
    """The file of prices cannot be used; the message says why."""


class Cost(msgspec.Struct, frozen=True):
    """What a call cost, US dollars, and how that is known."""

    usd: float
    basis: CostBasis
    price_version: str


class Price(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The prices of some models of one provider; see the file for the fields."""

    provider: str
    models: list[str]
    usd_per_picture: float | None = None
    usd_per_million: dict[str, float] = {}
    if_used: dict[str, float] = {}


class Prices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table. `version` is the day on which it was right."""

    version: str
    prices: list[Price]

    def cost_of(self, provider: str, model: str, usage: Mapping[str, float]) -> Cost | None:
        """The cost of a call that made a picture; None when it is not known."""
        price = self._find(provider, model)
        if price is None:
            return None
        if price.usd_per_million and price.usd_per_million.keys() <= usage.keys():
            rates = {**price.if_used, **price.usd_per_million}
            usd = sum(usage.get(name, 0.0) * rate for name, rate in rates.items()) / _MILLION
            return Cost(usd, CostBasis.USAGE, self.version)
        if price.usd_per_picture is not None:
            return Cost(price.usd_per_picture, CostBasis.PICTURE, self.version)
        return None

    def knows(self, provider: str, model: str) -> bool:
        """Whether such calls have a price."""
        return self._find(provider, model) is not None

    def nothing(self) -> Cost:
        """The cost of a call that the provider turned away."""
        return Cost(0.0, CostBasis.TURNED_AWAY, self.version)

    def _find(self, provider: str, model: str) -> Price | None:
        own = [price for price in self.prices if price.provider == provider]
        named = [price for price in own if model in price.models]
        return next(iter(named or [price for price in own if ANY_MODEL in price.models]), None)


def load_prices(path: Path | None = None) -> Prices:
    """Read the table, the built-in one if none is named. Raises PriceFileError."""
    try:
        return msgspec.toml.decode((path or BUILT_IN).read_bytes(), type=Prices)
    except (OSError, ValueError) as error:
        raise PriceFileError(f"PRICES_FILE cannot be used: {error}") from error
