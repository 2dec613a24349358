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

from tests.bench.figures import Sample, Samples, number
from tests.bench.machine import BUILD, NotHere, pin_harness
from tests.bench.parts import PARTS
from tests.bench.plan import Plan
from tests.bench.stack import running_stack
from tests.bench.writing import markdown, write

if TYPE_CHECKING:
    from tests.bench.stack import Stack

RESULTS = BUILD / "results.json"


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(list(PARTS)))
@click.option("--quick", is_flag=True, help="One round of small cases.")
@click.option("--rounds", type=int, help="How often; 3, or 1 with --quick.")
@click.option("--only", multiple=True, help="Only this contender (or attack); can be repeated.")
@click.option("--sockets", multiple=True, type=int, help="Fan-out with so many sockets.")
@click.option("--write", "writes", is_flag=True, help="Write the results into docs/performance.md.")
def main(
    parts: tuple[str, ...],
    *,
    quick: bool,
    rounds: int | None,
    only: tuple[str, ...],
    sockets: tuple[int, ...],
    writes: bool,
) -> None:
    """Measure PARTS (all), print tables, keep the figures in build/bench/results.json.

    What was measured earlier of other parts stays in that file: --write shows all of it.
    """
    plan = Plan(quick=quick, rounds=rounds or (1 if quick else 3), only=only, sockets=sockets)
    try:
        pin_harness()
    except NotHere as missing:
        sys.exit(f"bench: {missing}")
    began_s, failed, new = time.monotonic(), False, list[Sample]()
    wanted = parts or tuple(PARTS)
    known = [sample for sample in _earlier() if sample.part not in wanted]
    for part in wanted:
        samples, part_failed = _measured(part, plan)
        new += samples
        failed |= part_failed
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        RESULTS.write_bytes(msgspec.json.encode([*known, *new]))
    print(f"\n{markdown(Samples(new))}\n\n{time.monotonic() - began_s:.0f} s in all")
    if writes:
        write(Samples([*known, *new]), RESULTS)
    sys.exit(failed)


def _earlier() -> list[Sample]:
    if not RESULTS.exists():
        return []
    return msgspec.json.decode(RESULTS.read_bytes(), type=list[Sample])


def _measured(part: str, plan: Plan) -> tuple[list[Sample], bool]:
    """Measure one part, each with Valkey and Postgres of its own; and whether that failed."""
    began_s, failed = time.monotonic(), False
    samples: list[Sample] = []

    async def measure(stack: Stack) -> None:
        async for sample in PARTS[part].run(stack, plan):
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
        failed = True
    finally:
        gc.enable()
    print(f"{part} | {time.monotonic() - began_s:.0f} s", flush=True)
    return samples, failed


if __name__ == "__main__":
    main()
