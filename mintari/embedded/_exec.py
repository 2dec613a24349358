"""Becomes a command that dies with its parent: `_exec.py SIGNAL PARENT UID GID COMMAND...`.

Runs as its own small program (python -I -S) and not between fork and exec, where Python code of a
process with threads can deadlock. The order matters: the kernel clears the parent-death signal
when a process changes its user, so the user comes first.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Give up root if asked to, tie this process to its parent, become the command."""
    death_signal, parent_pid, uid, gid = (int(word) for word in sys.argv[1:5])
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent_pid:
        sys.exit("The parent ended before its child began.")
    # Python ignores these two, and an ignored signal stays ignored across exec.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    os.execv(sys.argv[5], sys.argv[5:])  # noqa: S606 - running what our own code asks for is its use


main()
