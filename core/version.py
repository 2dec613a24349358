"""How a job's version grows, so that it survives an emptied Redis and a second attempt.

A version is an epoch (high bits) and a step (low 16 bits). Every state change, made in Postgres,
opens the next epoch; the worker that holds the lease counts steps for its progress. So a stale
worker's steps are always lower than what came after it, no matter what Redis remembers, and the
number still fits a GraphQL Int (32 bits): 32,767 state changes of 65,535 steps each.
"""

from __future__ import annotations

STEPS_PER_EPOCH = 1 << 16


def next_epoch(version: int) -> int:
    """The version that a state change gives to a job at `version`."""
    return (version // STEPS_PER_EPOCH + 1) * STEPS_PER_EPOCH


def opens_epoch(version: int) -> bool:
    """Whether it is a state change's, before any step."""
    return version % STEPS_PER_EPOCH == 0


def next_step(version: int) -> int:
    """The version after one more visible step in the same epoch; stays on the last step."""
    step = version + 1
    return step if step % STEPS_PER_EPOCH else version
