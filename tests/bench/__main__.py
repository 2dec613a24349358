"""How fast the service is, beside others on the same machine: `make bench`.

Parts can be named: `make bench ARGS="fanout --quick"`.
"""

from __future__ import annotations

import gc
import sys
import time
import traceback
from typing import TYPE_CHECKING

import click
import msgspec
import uvloop

from tests.bench import (
    attacks,
    crowds,
    fanout,
    fanout_report,
    first_progress,
    growth,
    queueing,
    requesting,
    safety_speed,
    tables,
    working,
)
from tests.bench.figures import Sample, Samples, number
from tests.bench.machine import BUILD, NotHere, pin_harness
from tests.bench.plan import Plan
from tests.bench.stack import running_stack

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from tests.bench.stack import Stack

PARTS: dict[str, Callable[[Stack, Plan], AsyncGenerator[Sample, None]]] = {
    "fanout": fanout.run,
    "growth": growth.run,
    "crowds": crowds.run,
    "requests": requesting.run,
    "queue": queueing.run,
    "work": working.run,
    "attacks": attacks.run,
}
REPORTS: dict[str, Callable[[Samples], str]] = {
    "fanout": fanout_report.show,
    "requests": tables.requests,
    "queue": tables.queue,
    "work": tables.work,
    "attacks": tables.attacks,
    "crowds": tables.crowds,
    "growth": tables.growth,
}
# They print what they measure; nothing is compared.
PROGRAMS: dict[str, Callable[[], None]] = {
    "first-progress": first_progress.main,
    "safety": safety_speed.main,
}
RESULTS = BUILD / "results.json"


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice([*PARTS, *PROGRAMS]))
@click.option("--quick", is_flag=True, help="One round of small cases.")
@click.option("--rounds", type=int, help="How often; 3, or 1 with --quick.")
@click.option("--only", multiple=True, help="Only this contender; can be repeated.")
@click.option("--sockets", multiple=True, type=int, help="Fan-out with so many sockets.")
def main(
    parts: tuple[str, ...],
    *,
    quick: bool,
    rounds: int | None,
    only: tuple[str, ...],
    sockets: tuple[int, ...],
) -> None:
    """Measure PARTS (all), print tables, keep the figures in build/bench/results.json."""
    plan = Plan(quick=quick, rounds=rounds or (1 if quick else 3), only=only, sockets=sockets)
    try:
        pin_harness()
    except NotHere as missing:
        sys.exit(f"bench: {missing}")
    samples: list[Sample] = []
    for part in parts or (*PARTS, *PROGRAMS):
        if part in PARTS:
            samples += _measured(part, plan)
        else:
            PROGRAMS[part]()
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_bytes(msgspec.json.encode(samples))
    for part, show in REPORTS.items():
        if found := Samples(samples).of(part):
            print(f"\n## {part}\n\n{show(found)}")


def _measured(part: str, plan: Plan) -> list[Sample]:
    """Measure one part, each with Valkey and Postgres of its own."""
    began_s = time.monotonic()
    samples: list[Sample] = []

    async def measure(stack: Stack) -> None:
        async for sample in PARTS[part](stack, plan):
            samples.append(sample)
            figures = ", ".join(f"{name} {number(it)}" for name, it in sample.figures.items())
            print(f"{part} | {sample.case} | {sample.who} | {figures}", flush=True)

    # A pause of the harness would be seen as the server's.
    gc.disable()
    try:
        with running_stack() as stack:
            uvloop.run(measure(stack))
    except NotHere as missing:
        print(f"{part} | not measured here: {missing}")
    except Exception:
        # What was measured until then is kept, and the other parts go on.
        traceback.print_exc()
        print(f"{part} | failed, see above")
    print(f"{part} | {time.monotonic() - began_s:.0f} s", flush=True)
    return samples


if __name__ == "__main__":
    main()
