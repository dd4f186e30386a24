# SPDX-License-Identifier: MIT
"""What processes ask the kernel for, and in what order: that is the same on a busy
machine, where nothing is said by how long it takes.

    with Trace(agent.worker_pids(), "ppoll,shutdown") as trace:
        ...
    trace.calls()       {pid: its calls, as strace(1) writes them}
    name_of(call)       which of them it was
    timed_out(call)     whether it was a wait that ended as its time was up
    times_set(trace)    [(seconds, nanoseconds), …] to which they have set the clock, which
                        others on this machine may set as well
"""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile

from agent import TIMEOUT, stat_of, tracer_of, wait_until


class Trace:
    """strace on the processes PIDS, for these CALLS; what they start is not followed. With
    INJECT each call meets that, as "delay_enter=1000" (microseconds)."""

    def __init__(self, pids, calls, inject=None):
        assert shutil.which("strace"), "no strace(1)"
        self.pids = [pids] if isinstance(pids, int) else list(pids)
        self._seen = None       # once it has ended
        self._folder = tempfile.mkdtemp(prefix="vga-trace-")
        self.process = subprocess.Popen(
            ["strace", "-qq", "-ff", *["-p%d" % pid for pid in self.pids], "-e", "trace=" + calls,
             *(["-e", "inject=%s:%s" % (calls, inject)] if inject else []), "-e", "signal=none", "-s", "64", "-o", os.path.join(self._folder, "of")],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def __enter__(self):
        wait_until(self._is_attached, message="strace at %r" % self.pids)
        return self

    def _is_attached(self):
        assert self.process.poll() is None, self.process.stderr.read()
        # Only when strace waits does it see all of their calls.
        return all(tracer_of(pid) == self.process.pid for pid in self.pids) and (
            (stat_of(self.process.pid) or "Z")[0] == "S")

    def calls(self):
        """{pid: [call, …]}: what was begun so far, the last of which may not have ended."""
        if self._seen is not None:
            return self._seen
        files = {pid: pathlib.Path(self._folder, "of.%d" % pid) for pid in self.pids}
        return {pid: file.read_text(errors="replace").splitlines() if file.exists() else []
                for pid, file in files.items()}

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=TIMEOUT)
        self._seen = self.calls()
        shutil.rmtree(self._folder, ignore_errors=True)


def name_of(call):
    return call.partition("(")[0]


def timed_out(call):
    return call.endswith("= 0 (Timeout)")


def times_set(trace):
    said = r"clock_settime\(CLOCK_REALTIME, \{tv_sec=(-?\d+), tv_nsec=(\d+)\}\) += 0"
    found = [re.match(said, call) for calls in trace.calls().values() for call in calls]
    return [(int(match[1]), int(match[2])) for match in found if match]
