"""How long a prompt of 1,000 characters is judged, by what it is made of."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from core.safety.policy import load_policy
from tests.bench.contending import OURS
from tests.bench.figures import Sample

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from tests.bench.plan import Plan
    from tests.bench.stack import Stack

JUDGED = 200
INNOCENTS = Path(__file__).parent.parent / "data" / "safety" / "innocents.tsv"


async def run(stack: Stack, plan: Plan) -> AsyncGenerator[Sample, None]:
    """Judge each text again and again."""
    del stack, plan
    lines = INNOCENTS.read_text(encoding="utf-8").splitlines()
    prompts = [line.split("\t")[-1] for line in lines if not line.startswith("#")]
    words = [prompt for prompt in prompts if prompt.isascii() and prompt.isprintable()]
    texts = {
        "plain": ", ".join(p for p in words if not any(c.isdigit() for c in p)),
        "digits": ", ".join(p for p in words if any(c.isdigit() for c in p)) * 3,
        "foreign": ", ".join(p for p in prompts if not p.isascii()) * 3,
        "leet": "h1ll w1th 3 tr33s! " * 60,
        "spaced": "a.s-d_f 1 " * 100,
    }
    policy = load_policy()
    for name, text in texts.items():
        judge = partial(policy.judge, text[:1000])
        times = sorted(_time_us(judge) for _ in range(JUDGED))
        figures = {"p50_us": times[JUDGED // 2], "p99_us": times[-3]}
        yield Sample(part="safety", case=name, who=OURS, round=0, figures=figures)


def _time_us(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1e6
