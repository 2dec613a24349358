"""The circuit breaker as a value: what opens it, what keeps it open, what closes it."""

from __future__ import annotations

import pytest

from core.vocabulary import BlockStage, FallOverReason, ProviderStatus
from jobs.circuit import Circuit, Pause, Permit, Rules
from providers.base import (
    BadProviderAnswer,
    ProviderError,
    ProviderMisconfigured,
    ProviderOverloaded,
    ProviderRefused,
    ProviderTimeout,
    ProviderUnavailable,
)

RULES = Rules(failures=3, window_s=60, pause_s=30, quota_pause_s=3600)
NOW_S = 1_000_000.0
ORDINARY, PROBE = Permit(), Permit(is_probe=True)
DOWN = ProviderUnavailable("down")


def after(circuit: Circuit, *errors: ProviderError, at_s: float = NOW_S) -> Circuit:
    for error in errors:
        circuit = circuit.failed(error, ORDINARY, at_s, RULES)
    return circuit


PAUSED = after(Circuit(), DOWN, DOWN, DOWN)


def test_failures_in_a_row_pause_a_provider() -> None:
    twice = after(Circuit(), DOWN, ProviderTimeout("slow"))
    assert twice.pause(NOW_S, RULES) is None
    assert twice.status(NOW_S) is ProviderStatus.DEGRADED

    thrice = after(twice, ProviderOverloaded("busy"))

    assert thrice.pause(NOW_S + 10, RULES) == Pause(20.0, FallOverReason.PAUSED)
    assert thrice.status(NOW_S) is ProviderStatus.UNAVAILABLE


def test_a_call_that_goes_well_starts_the_count_anew() -> None:
    refused = ProviderRefused("no", stage=BlockStage.INPUT)
    for good in (
        after(Circuit(), DOWN, DOWN).succeeded(ORDINARY),
        # Who refuses a prompt is well.
        after(Circuit(), DOWN, DOWN, refused),
    ):
        assert good == Circuit()
        assert good.status(NOW_S) is ProviderStatus.AVAILABLE


def test_failures_that_lie_apart_are_none_in_a_row() -> None:
    late = after(after(Circuit(), DOWN, DOWN), DOWN, at_s=NOW_S + RULES.window_s + 1)

    assert (late.failures, late.is_paused) == (1, False)


@pytest.mark.parametrize("error", [BadProviderAnswer("no picture"), ProviderMisconfigured("key")])
def test_what_may_be_about_one_prompt_counts_neither_way(error: ProviderError) -> None:
    two = after(Circuit(), DOWN, DOWN)

    assert after(two, error, error, error) == two


def test_a_provider_that_asks_for_a_longer_pause_gets_it() -> None:
    busy = after(Circuit(), DOWN, DOWN, ProviderOverloaded("busy", retry_after_s=100))

    assert busy.pause(NOW_S, RULES) == Pause(100.0, FallOverReason.PAUSED)


@pytest.mark.parametrize(("resets_in_s", "pause_s"), [(7000.0, 7000.0), (None, 3600.0)])
def test_a_used_up_quota_pauses_at_once(resets_in_s: float | None, pause_s: float) -> None:
    error = ProviderOverloaded("today", exhausted=True, resets_in_s=resets_in_s)

    used_up = after(Circuit(), error)

    assert used_up.pause(NOW_S, RULES) == Pause(pause_s, FallOverReason.QUOTA_USED_UP)
    # Found by a call that had begun before, it makes another pause longer, never shorter.
    assert after(PAUSED, error).pause(NOW_S, RULES) == used_up.pause(NOW_S, RULES)
    assert after(used_up, DOWN) == used_up


def test_one_call_at_a_time_tries_a_paused_provider() -> None:
    early = NOW_S + RULES.pause_s - 1
    assert PAUSED.entered(early, RULES, tries_for_s=70) == PAUSED

    over_s = NOW_S + RULES.pause_s
    assert PAUSED.pause(over_s, RULES) is None
    assert PAUSED.status(over_s) is ProviderStatus.DEGRADED
    tried = PAUSED.entered(over_s, RULES, tries_for_s=70)

    # Others wait until it is done, yet never longer than a pause.
    assert tried.pause(over_s + 1, RULES) == Pause(30.0, FallOverReason.PAUSED)
    assert tried.pause(over_s + 69, RULES) == Pause(1.0, FallOverReason.PAUSED)
    # Its worker died: the next one may try.
    assert tried.pause(over_s + 70, RULES) is None
    assert tried.left(PROBE).pause(over_s + 1, RULES) is None
    assert tried.left(ORDINARY) == tried


def test_only_the_call_that_tries_ends_or_renews_a_pause() -> None:
    over_s = NOW_S + RULES.pause_s
    tried = PAUSED.entered(over_s, RULES, tries_for_s=70)

    assert tried.succeeded(ORDINARY) == tried
    assert after(tried, DOWN, at_s=over_s) == tried
    assert tried.succeeded(PROBE) == Circuit()
    again = tried.failed(DOWN, PROBE, over_s + 5, RULES)
    assert again.pause(over_s + 5, RULES) == Pause(30.0, FallOverReason.PAUSED)


def test_everything_is_forgotten_at_some_time() -> None:
    assert Circuit().kept_for_s(NOW_S, RULES) == 0
    assert after(Circuit(), DOWN).kept_for_s(NOW_S, RULES) == RULES.window_s
    assert PAUSED.kept_for_s(NOW_S, RULES) == RULES.pause_s + 3600
