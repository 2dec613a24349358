"""What calls cost: from their own account, by the picture, or not known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from core.prices import PriceFileError, load_prices
from core.vocabulary import CostBasis
from db.costs import read_costs
from db.engine import open_database

if TYPE_CHECKING:
    from pathlib import Path

    from core.prices import Cost
    from core.settings import Settings

GEMINI = {"promptTokenCount": 17.0, "candidatesTokenCount": 1290.0, "totalTokenCount": 1307.0}
OPENAI = {
    "input_tokens": 50.0,
    "input_tokens_details.text_tokens": 10.0,
    "input_tokens_details.image_tokens": 40.0,
    "output_tokens": 4160.0,
}


def known(cost: Cost | None) -> tuple[float, CostBasis]:
    assert cost is not None
    assert cost.price_version == load_prices().version
    return cost.usd, cost.basis


@pytest.mark.parametrize(
    ("provider", "model", "usage", "usd", "basis"),
    [
        ("gemini", "gemini-2.5-flash-image", GEMINI, 0.0387051, CostBasis.USAGE),
        ("gemini", "gemini-2.5-flash-image", {}, 0.039, CostBasis.PICTURE),
        (
            *("gemini", "gemini-3-pro-image"),
            {**GEMINI, "thoughtsTokenCount": 1000.0},
            *((17 * 2 + 1290 * 120 + 1000 * 12) / 1e6, CostBasis.USAGE),
        ),
        ("openai", "gpt-image-2.5-flare", OPENAI, 0.12517, CostBasis.USAGE),
        ("local", "whatever it paints with", {}, 0.0, CostBasis.PICTURE),
    ],
)
def test_a_known_price(
    provider: str, model: str, usage: dict[str, float], usd: float, basis: CostBasis
) -> None:
    cost, how = known(load_prices().cost_of(provider, model, usage))
    assert cost == pytest.approx(usd)
    assert how is basis


@pytest.mark.parametrize(
    ("provider", "model", "usage"),
    [
        ("openai", "gpt-image-2.5-flare", {"output_tokens": 4160.0}),  # only a part of the account
        ("openai", "a model of tomorrow", OPENAI),
        ("banana", "banana-0123abcd", {}),
    ],
)
def test_what_is_not_known_is_not_free(provider: str, model: str, usage: dict[str, float]) -> None:
    assert load_prices().cost_of(provider, model, usage) is None


def test_own_prices_take_the_place_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(
        'version = "mine"\n[[prices]]\nprovider = "banana"\nmodels = ["*"]\nusd_per_picture = 0.002'
    )
    prices = load_prices(path)
    cost = prices.cost_of("banana", "banana-0123abcd", {})
    assert cost is not None
    assert (cost.usd, cost.price_version) == (0.002, "mine")
    assert prices.cost_of("gemini", "gemini-2.5-flash-image", GEMINI) is None


@pytest.mark.parametrize("content", ["", "version = 1", 'version = "a"\nprices = [{provider = 1}]'])
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(content)
    with pytest.raises(PriceFileError, match="PRICES_FILE"):
        load_prices(path)


_CALL = text("""
    INSERT INTO provider_calls (job_id, attempt, user_id, provider, model, worker_name, outcome,
        resumed_from, cost_usd, cost_basis, started_at)
    VALUES (CAST(:job AS uuid), :attempt, :user, 'gemini', 'm', 'w', :outcome, :resumed_from, :usd,
        CASE WHEN CAST(:usd AS float8) IS NOT NULL THEN 'USAGE' END, :at)
""")
FIRST, SECOND, THIRD = (f"00000000-0000-7000-8000-00000000000{number}" for number in (1, 2, 3))


async def test_costs_are_summed_by_user_and_day(settings: Settings) -> None:
    noon = datetime(2026, 11, 20, 12, tzinfo=UTC)
    calls = [
        # A call that was cut off, and the one that went on with it: one call, paid once.
        (FIRST, 1, "ann", "UNKNOWN", None, None, noon),
        (FIRST, 2, "ann", "SUCCEEDED", 1, 0.04, noon),
        (SECOND, 1, "ann", "SUCCEEDED", None, 0.04, noon),
        (SECOND, 2, "ann", "CANCELLED", None, None, noon),
        (THIRD, 1, "ann", "SUCCEEDED", None, 0.5, noon + timedelta(days=1)),
        (THIRD, 2, "bob", "SUCCEEDED", None, 0.3, noon),
    ]
    names = ("job", "attempt", "user", "outcome", "resumed_from", "usd", "at")
    async with open_database(settings) as database:
        async with database.transaction() as connection:
            for call in calls:
                await connection.execute(_CALL, dict(zip(names, call, strict=True)))
        async with database.read() as connection:
            since, until = noon - timedelta(days=1), noon + timedelta(days=9)
            found = await read_costs(connection, since=since, until=until)
            anns = await read_costs(connection, since=since, until=until, user_id="ann")
    rows = [(one.user_id, one.day.day, one.calls, one.cost_usd, one.unknown_calls) for one in found]
    assert rows == [("ann", 21, 1, 0.5, 0), ("bob", 20, 1, 0.3, 0), ("ann", 20, 3, 0.08, 1)]
    assert anns == [one for one in found if one.user_id == "ann"]
