"""How cost grows with the jobs that are watched, with events in flight, with a message's size."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.bench.contending import OURS, YOGA
from tests.bench.documents import page_follow
from tests.bench.fanout import Case, measure

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.bench.figures import Sample
    from tests.bench.plan import Plan
    from tests.bench.stack import Stack

SOCKETS = 1000
COST_S = 1.0
AXES = {
    "jobs": "jobs, watched by 1,000 subscribers together",
    "in flight": "events of one job in flight, 1,000 subscribers",
    "bytes": "characters of the model's name, 1,000 subscribers with a job each",
}
"""What a case's name says before its number."""
PAGE = "page's document"


def cases(plan: Plan) -> list[Case]:
    """One axis after the other; elsewhere as in fan-out."""
    sockets = 100 if plan.quick else SOCKETS
    return [
        *(_case(f"jobs {n}", sockets, n) for n in (1, 10, 100, 1000) if n <= sockets),
        *(_case(f"in flight {n}", sockets, 1, in_flight=n) for n in (4, 16)),
        *(_case(f"bytes {n}", sockets, sockets, model="m" * n) for n in (10, 500, 1500, 3500)),
    ]


async def run(stack: Stack, plan: Plan) -> AsyncGenerator[Sample, None]:
    """All cases once, this service and yoga in turn; then the page's own document."""
    for case in cases(plan):
        for who in plan.only or (OURS, YOGA):
            yield await measure(stack, "growth", case, who, 0)
    page = _case(f"{PAGE} 0", 100, 100, document=page_follow())
    if OURS in (plan.only or (OURS,)):
        yield await measure(stack, "growth", page, OURS, 0)


def _case(
    name: str,
    sockets: int,
    jobs: int,
    *,
    in_flight: int = 1,
    model: str = "painter-1",
    document: str | None = None,
) -> Case:
    case = Case(name, sockets, jobs, in_flight=in_flight, model=model, cost_s=COST_S)
    return replace(case, document=document) if document else case
