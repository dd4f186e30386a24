# SPDX-License-Identifier: MIT
"""What a guest may have that this machine has not: other mounts, and system calls
that fail, or kill, at one certain point.

    mounted(monkeypatch, tmp_path, "mount -t tmpfs -o size=1M none $D")
        agents started from then on have these mounts to themselves; $D is
        tmp_path. inside(agent, path) is the path as they see it.

    with Fault(pid, "renameat", "signal=SIGKILL"):          (WHEN: 2, "2..5", "2+")
        the process PID meets this at that call (strace's inject); where there are
        more pids, each of them does
"""

import os
import shutil
import signal
import stat
import subprocess
import tempfile

import agent as agent_module


def mounted(monkeypatch, tmp_path, script, spaces="m"):
    """Starts agents in a mount namespace of their own in which SCRIPT was run, and in others
    (SPACES: options of unshare)."""
    assert shutil.which("unshare"), "no unshare(1)"
    wrapper = tmp_path / "agent-with-mounts"
    wrapper.write_text("""#!/bin/sh
D=%s
export D
exec unshare -%s --propagation private sh -c '
set -e
%s
exec "$0" "$@"' %s "$@"
""" % (tmp_path, spaces, script, agent_module.agent_binary()))
    wrapper.chmod(0o755)
    monkeypatch.setenv("VMM_GUEST_AGENT", str(wrapper))


def inside(agent, path):
    """PATH in the agent's mount namespace, for us to open."""
    return "/proc/%d/root%s" % (agent.pid, path)


class Fault:
    """strace on processes, each of which does WHAT ("signal=SIGKILL", "error=EBUSY") at
    its call of SYSCALL, the WHENth since now; "1+" is each of them; of those alone that name
    PATH, where one is given. They are to have nothing to do: a worker that was only just
    forked would meet it before its session."""

    def __init__(self, pids, syscall, what, when=1, path=None):
        assert shutil.which("strace"), "no strace(1)"
        self.pids = [pids] if isinstance(pids, int) else list(pids)
        agent_module.wait_until_waiting(lambda: self.pids)
        self._calls = tempfile.NamedTemporaryFile(prefix="vga-fault-")
        self.process = subprocess.Popen(
            ["strace", "-qq", "-o", self._calls.name, *["-p%d" % pid for pid in self.pids], "-e", "signal=none",
             "-e", "trace=" + syscall, "-e", "inject=%s:%s:when=%s" % (syscall, what, when),
             *(["-P", path] if path else [])],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def __enter__(self):
        agent_module.wait_until(self._is_attached, message="strace at %r" % self.pids)
        return self

    def _is_attached(self):
        assert self.process.poll() is None, self.process.stderr.read()
        tracer = "TracerPid:\t%d\n" % self.process.pid
        for pid in self.pids:
            with open("/proc/%d/status" % pid) as f:
                if tracer not in f.read():
                    return False
        # Only when strace waits has it stopped them all once, and sees their calls from there on.
        return (agent_module.stat_of(self.process.pid) or "Z")[0] == "S" and all(
            map(agent_module.is_waiting, self.pids))

    def wait_met(self):
        """Waits until one of them is in the call, or was."""
        agent_module.wait_until(lambda: b"(" in self._calls.read(), message="the call")

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=agent_module.TIMEOUT)
        self._calls.close()


def litter(directory):
    """Names below DIRECTORY that a WRITE should not have left."""
    return [os.path.join(d, n) for d, _, names in os.walk(directory) for n in names
            if n.startswith(".vmm-guest-")]


def mode_of(path):
    return stat.S_IMODE(os.stat(path).st_mode)
