"""`python -m tests.chaos.skewed +5 mintari worker`: a program whose clock is off by 5 seconds."""

from __future__ import annotations

import runpy
import sys
import time


def main() -> None:
    """Shift the wall clock of this process, then run the module with what is left of argv."""
    offset_s = float(sys.argv[1])
    real_time_s, real_time_ns = time.time, time.time_ns
    # Before anything else is imported: some modules keep the function itself.
    time.time = lambda: real_time_s() + offset_s
    time.time_ns = lambda: real_time_ns() + int(offset_s * 1e9)
    off_s = time.time() - time.clock_gettime(time.CLOCK_REALTIME)
    print(f"clock off by {round(off_s)} s", flush=True)
    sys.argv = sys.argv[2:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
