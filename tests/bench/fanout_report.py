"""Fan-out in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench.contending import ABOUT, DOCUMENTED, LIMIT, OURS, YOGA
from tests.bench.figures import number, table

if TYPE_CHECKING:
    from tests.bench.figures import Samples

SHAPES = {"one": "all watch one job, 4 events in flight", "own": "each watches its own job"}
HEADER = (
    "contender",
    "messages per CPU-second",
    "p50 / p99 ms",
    "KB a subscriber",
    "connect, CPU ms",
    "bytes a message",
    "busy: server / client",
)


def show(samples: Samples) -> str:
    """Tables of all cases, and this service against the others."""
    parts = [
        f"### {sockets} subscribers, {SHAPES[shape]}\n\n{_case(samples, f'{shape} {sockets}')}"
        for shape, _, sockets in (case.partition(" ") for case in samples.cases)
    ]
    about = "\n".join(f"- {who}: {ABOUT[who]}" for who in samples.contenders)
    return "\n\n".join([*_targets(samples), *parts, about])


def _case(samples: Samples, case: str) -> str:
    return table(
        HEADER,
        [_row(samples, case, who) for who in samples.contenders if samples.figure(case, who, "kb")],
    )


def _row(samples: Samples, case: str, who: str) -> list[str]:
    def cell(name: str) -> str:
        found = samples.figure(case, who, name)
        return found.show(number) if found else "-"

    def percent(name: str) -> str:
        found = samples.figure(case, who, name)
        return f"{found.median:.0%}" if found else "-"

    return [
        who,
        cell("per_cpu_s"),
        f"{cell('p50_ms')} / {cell('p99_ms')}",
        cell("kb"),
        cell("connect_ms"),
        cell("message_bytes"),
        f"{percent('server_share')} / {percent('client_share')}",
    ]


def _targets(samples: Samples) -> list[str]:
    """This service against the others, as ratios within a round; nothing without 1,000 sockets."""
    wanted = (
        ("one 1000", "per_cpu_s", YOGA, "at least 25"),
        ("one 1000", "per_cpu_s", DOCUMENTED, "at least 90"),
        ("own 1000", "per_cpu_s", YOGA, "at least 5"),
        ("own 1000", "per_cpu_s", LIMIT, "at least 0.45"),
        ("one 1000", "p99_ms", YOGA, "under 0.5"),
        ("own 1000", "p99_ms", YOGA, "under 0.5"),
    )
    names = {"per_cpu_s": "messages per CPU-second", "p99_ms": "p99 at 2,000 deliveries/s"}
    rows = [
        (f"{SHAPES[case[:3]]}: {names[name]} / {other}'s", ratio.show(number), target)
        for case, name, other, target in wanted
        if (ratio := samples.ratio(case, name, OURS, other))
    ]
    rows += [
        (f"{SHAPES[case[:3]]}: KB a subscriber", kb.show(number), "at most 16")
        for case in ("one 1000", "own 1000")
        if (kb := samples.figure(case, OURS, "kb"))
    ]
    return [table(("1,000 subscribers, this service", "measured", "wanted"), rows)] if rows else []
