"""The supervisor's promises, kept with small real programs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mintari.parts import Part, PartFailed
from mintari.supervisor import supervise
from tests.programs import Program, running
from tests.servers import is_alive, until
from tests.supervised import POLITE, part

if TYPE_CHECKING:
    from collections.abc import Sequence


def supervised(stages: str) -> Sequence[str]:
    return ("-W", "error", "-m", "tests.supervised", stages)


def pid_of(program: Program, name: str, *, count: int = 1) -> int:
    return int(program.line_with(f"{name} | pid", count=count).split()[-1])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_stages_start_in_order_and_stop_backwards(number: signal.Signals) -> None:
    stages = "[[part('one', POLITE)], [part('two', POLITE)], [part('three', POLITE)]]"
    with running(*supervised(stages)) as program:
        program.line_with("all run")
        for name in ("one", "two", "three"):
            program.line_with(f"{name} | is here")
        program.signal(number)
        assert program.wait() == 0
    assert [line for line in program.lines if line.endswith("goes")] == [
        "three | goes",
        "two | goes",
        "one | goes",
    ]
    assert program.lines[-1] == "mintari | stopped"


def test_a_ready_part_is_waited_for_and_one_that_is_meant_to_end_ends_first() -> None:
    stages = "[[part('first', 'print(1)', once=True)], [part('second', POLITE)]]"
    with running(*supervised(stages)) as program:
        program.line_with("second | is here")
        assert program.lines.index("first | 1") < program.lines.index("second | is here")
        program.line_with("all run")
        program.signal(signal.SIGINT)
        assert program.wait() == 0


def test_a_part_that_ends_is_said_and_started_again() -> None:
    stages = "[[part('one', POLITE)], [part('two', POLITE)]]"
    with running(*supervised(stages)) as program:
        program.line_with("two | is here")
        program.line_with("all run")
        first = pid_of(program, "one")
        os.kill(first, signal.SIGKILL)
        said = program.line_with("one ended")
        assert said == "mintari | one ended (killed by SIGKILL); starting it again in 0.01 s"
        second = pid_of(program, "one", count=2)
        program.line_with("mintari | one runs again")
        assert first != second
        program.signal(signal.SIGINT)
        assert program.wait() == 0
        assert not is_alive(second)
    # The other part was left alone.
    assert program.output.count("two | is here") == 1


def test_a_part_that_keeps_ending_is_given_up_and_all_is_stopped() -> None:
    stages = "[[part('one', POLITE)], [part('two', 'import sys; sys.exit(3)')]]"
    with running(*supervised(stages)) as program:
        assert program.wait() == 1
    assert program.lines[-1] == (
        "failed: two ended 3 times in a row (exit code 3): see its output above."
    )
    assert program.lines[-2] == "mintari | stopped"
    assert program.output.count("starting it again") == 2


def test_a_part_that_fails_before_it_is_ready_stops_the_start() -> None:
    stages = (
        "[[part('one', POLITE)],"
        " [part('two', 'import sys; print(\"why\"); sys.exit(2)', once=True)],"
        " [part('three', POLITE)]]"
    )
    with running(*supervised(stages)) as program:
        assert program.wait() == 1
    assert program.lines[-1] == "failed: two failed (exit code 2): see its output above."
    assert program.lines.index("two | why") < len(program.lines) - 1
    assert program.lines[-2] == "mintari | stopped"
    assert "three" not in program.output
    assert "all run" not in program.output


async def test_a_part_that_does_not_become_ready_in_time_is_ended_and_said() -> None:
    said: list[str] = []
    pids: list[int] = []

    async def never(pid: int) -> bool:
        pids.append(pid)
        return False

    slow = Part(
        "slow",
        (sys.executable, "-c", POLITE),
        {},
        is_ready=never,
        start_deadline_s=0.3,
        clue=lambda: "see the moon",
    )
    with pytest.raises(PartFailed, match=r"^slow was not ready within 0.3 s: see the moon\.$"):
        await supervise([[slow]], lambda part, text: said.append(text), announce=lambda: None)
    assert not is_alive(pids[0])


def test_a_part_that_does_not_stop_is_ended_after_its_deadline() -> None:
    stages = "[[part('one', POLITE)], [part('two', STUBBORN, stop_deadline_s=0.3)]]"
    with running(*supervised(stages)) as program:
        program.line_with("two | is here")
        program.line_with("all run")
        pid = pid_of(program, "two")
        program.signal(signal.SIGINT)
        assert program.wait() == 0
        assert not is_alive(pid)
    assert "mintari | two does not stop; ending it" in program.lines
    assert program.lines.index("mintari | two does not stop; ending it") < program.lines.index(
        "one | goes"
    )


def test_a_second_ctrl_c_hurries() -> None:
    stages = "[[part('one', STUBBORN, stop_deadline_s=600)]]"
    with running(*supervised(stages)) as program:
        program.line_with("one | is here")
        program.line_with("all run")
        program.signal(signal.SIGINT)
        program.line_with("stopping")
        program.signal(signal.SIGINT)
        assert program.wait(within_s=20) == 0
    assert "mintari | one does not stop; ending it" in program.lines


def test_no_part_outlives_a_supervisor_that_is_killed() -> None:
    stages = "[[part('one', POLITE), part('two', STUBBORN)]]"
    with running(*supervised(stages)) as program:
        pids = [pid_of(program, "one"), pid_of(program, "two")]
        program.line_with("two | is here")
        program.signal(signal.SIGKILL)
        until(lambda: not any(is_alive(pid) for pid in pids))


def test_what_a_part_leaves_behind_is_cleared_when_it_ends() -> None:
    with running(*supervised("[[part('one', PARENT)]]")) as program:
        grandchild = pid_of(program, "one")
        assert is_alive(grandchild)
        program.line_with("all run")
        program.signal(signal.SIGINT)
        assert program.wait() == 0
        until(lambda: not is_alive(grandchild))


def test_a_reader_that_goes_away_does_not_keep_the_parts_from_stopping() -> None:
    command = [sys.executable, *supervised("[[part('one', POLITE)]]")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    # In either order: the part's first two lines, and that all run.
    lines = [process.stdout.readline() for _ in range(3)]
    pid = next(int(line.split()[-1]) for line in lines if " pid " in line)
    process.stdout.close()
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    assert not is_alive(pid)


async def test_long_output_without_a_line_end_is_passed_on_in_pieces() -> None:
    said: list[str] = []
    loud = part("loud", "import sys; sys.stdout.write('x' * 200_000)", once=True)
    quiet = part("quiet", POLITE)
    with pytest.raises(PartFailed):
        await supervise(
            [[loud], [part("last", "raise SystemExit(1)", once=True)], [quiet]],
            lambda part, text: said.append(text) if part == "loud" else None,
            announce=lambda: None,
        )
    assert "".join(said) == "x" * 200_000
    assert max(map(len, said)) < 200_000
