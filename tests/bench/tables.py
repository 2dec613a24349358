"""Every part but fan-out in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench.contending import OURS, YOGA
from tests.bench.figures import number, table
from tests.bench.growth import AXES, PAGE
from tests.bench.queueing import DOORBELL

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.bench.figures import Samples

CROWDS = {
    "idle": "{} idle grids of three frames, a socket each",
    "storm": "{} sockets come back at once",
}


def requests(samples: Samples) -> str:
    """HTTP: what an operation costs, beside yoga with pg."""
    targets = {"job": "at least 2.5", "startGeneration": "at least 1"}
    ratios = [
        (f"{case}: requests per CPU-second / yoga + pg's", ratio.show(number), targets[case])
        for case in samples.cases
        if (ratio := samples.ratio(case, "per_cpu_s", OURS, YOGA))
    ]
    rows = [
        [case, who, *_cells(samples, case, who, ("per_cpu_s", "p50_ms")), _busy(samples, case, who)]
        for case in samples.cases
        for who in samples.contenders
    ]
    header = (
        "operation",
        "contender",
        "requests per CPU-second",
        "p50 ms, 32 at once",
        "busy: server / client",
    )
    return _with_targets("HTTP, this service", ratios, table(header, rows))


def queue(samples: Samples) -> str:
    """Queues with jobs that do nothing."""
    (case,) = samples.cases
    rows = [
        [who, *_cells(samples, case, who, ("p50_ms", "p99_ms", "per_cpu_s", "per_s"))]
        for who in samples.contenders
    ]
    header = (
        "queue",
        "enqueue to start, p50 ms",
        "p99 ms",
        "jobs per worker CPU-second",
        "jobs per second",
    )
    ratios = [
        (f"jobs per CPU-second / {who}'s", ratio.show(number), "")
        for who in samples.contenders
        if who != DOORBELL and (ratio := samples.ratio(case, "per_cpu_s", DOORBELL, who))
    ]
    if start := samples.figure(case, DOORBELL, "p50_ms"):
        ratios.insert(0, ("enqueue to start, p50 ms", start.show(number), "at most 4"))
    return _with_targets("our doorbell", ratios, table(header, rows))


def work(samples: Samples) -> str:
    """Whole jobs."""
    (case,) = samples.cases
    wanted = {"p50_ms": "under 10", "p99_ms": "", "per_cpu_s": ""}
    names = {
        "p50_ms": "startGeneration's commit to the provider's call, p50 ms",
        "p99_ms": "the same, p99 ms",
        "per_cpu_s": "whole jobs per worker CPU-second, a picture of 1024 x 1024 each",
    }
    rows = [
        (names[name], found.show(number), wanted[name])
        for name in names
        if (found := samples.figure(case, OURS, name))
    ]
    return table(("this service", "measured", "wanted"), rows)


def attacks(samples: Samples) -> str:
    """What an abusive client does to the others."""

    def cells(case: str, name: str) -> list[str]:
        ratio = samples.ratio(case, name, "attacked", "quiet")
        both = (_cell(samples, case, who, name, number) for who in ("quiet", "attacked"))
        return [" → ".join(both), ratio.show(number) if ratio else "-"]

    rows = [
        [case, *cells(case, "query_p99_ms"), *cells(case, "message_p99_ms")]
        for case in samples.cases
    ]
    ratio = "ratio, at most 2"
    header = ("attack", "others' queries, p99 ms", ratio, "others' messages, p99 ms", ratio)
    return table(header, rows)


def crowds(samples: Samples) -> str:
    """Idle grids and storms."""
    names = {
        "idle": (
            ("kb", "KB a subscription", "at most 16"),
            ("connect_ms", "CPU ms to connect", ""),
            ("idle_share", "of a core while nothing happens", ""),
        ),
        "storm": (
            ("seconds", "seconds until each has its snapshot", ""),
            ("server_cpu_s", "CPU seconds of the server", ""),
        ),
    }
    rows = [
        (f"{CROWDS[kind].format(count)}: {what}", who, found.show(number), target)
        for case in samples.cases
        for kind, _, count in (case.partition(" "),)
        for who in samples.contenders
        for name, what, target in names[kind]
        if (found := samples.figure(case, who, name))
    ]
    return table(("crowd", "contender", "measured", "wanted"), rows)


def first_progress(samples: Samples) -> str:
    """From an answer to the first news."""
    names = {"RUNNING": "seen as RUNNING", "progress": "first progress above 0"}
    rows = [
        [names[case], *_cells(samples, case, OURS, ("p50_ms", "max_ms"))] for case in samples.cases
    ]
    return table(("after startGeneration's answer, local painter", "p50 ms", "most ms"), rows)


def safety(samples: Samples) -> str:
    """Judging prompts."""
    rows = [[case, *_cells(samples, case, OURS, ("p50_us", "p99_us"))] for case in samples.cases]
    return table(("1,000 characters of", "judged in, p50 µs", "p99 µs"), rows)


def growth(samples: Samples) -> str:
    """How cost grows, as microseconds of server CPU for a message."""
    rows = [
        [AXES[axis], f"{int(at):,}", *(_us(samples, case, who) for who in (OURS, YOGA))]
        for case in samples.cases
        for axis, _, at in (case.rpartition(" "),)
        if axis in AXES
    ]
    header = ("axis", "at", "this service, µs a message", "yoga, µs a message")
    page = samples.figure(f"{PAGE} 0", OURS, "per_cpu_s")
    if page is None:
        return table(header, rows)
    text = "The page's own document (with place in the queue and expected end), 100 sockets on one"
    return f"{table(header, rows)}\n\n{text} job: {1e6 / page.median:.3g} µs a message."


def _us(samples: Samples, case: str, who: str) -> str:
    found = samples.figure(case, who, "per_cpu_s")
    return f"{1e6 / found.median:.3g}" if found else "-"


def _with_targets(what: str, rows: Sequence[Sequence[str]], rest: str) -> str:
    if not rows:
        return rest
    return f"{table((what, 'measured', 'wanted'), rows)}\n\n{rest}"


def _cells(samples: Samples, case: str, who: str, names: Sequence[str]) -> list[str]:
    return [_cell(samples, case, who, name, number) for name in names]


def _cell(samples: Samples, case: str, who: str, name: str, form: Callable[[float], str]) -> str:
    found = samples.figure(case, who, name)
    return found.show(form) if found else "-"


def _busy(samples: Samples, case: str, who: str) -> str:
    shares = (samples.figure(case, who, name) for name in ("server_share", "client_share"))
    return " / ".join(f"{share.median:.0%}" if share else "-" for share in shares)
