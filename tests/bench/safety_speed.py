"""How long a prompt of 1,000 characters is judged: `python -m tests.bench.safety_speed`."""

from __future__ import annotations

import time
from pathlib import Path

from core.safety.policy import load_policy

ROUNDS = 200
INNOCENTS = Path(__file__).parent.parent / "data" / "safety" / "innocents.tsv"


def main() -> None:
    started = time.perf_counter()
    policy = load_policy()
    print(f"loading    {(time.perf_counter() - started) * 1e3:6.0f} ms")
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
    for name, text in texts.items():
        times = sorted(_time(lambda text=text[:1000]: policy.judge(text)) for _ in range(ROUNDS))
        print(
            f"{name:10} {times[ROUNDS // 2] * 1e6:6.0f} us at the median, {times[-3] * 1e6:.0f} p99"
        )


def _time(work: object) -> float:
    started = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
