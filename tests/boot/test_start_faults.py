# SPDX-License-Identifier: MIT
"""Process 1 whose system calls fail as it starts: whichever it is, it comes to serve,
or goes on trying; it never ends, which would be the machine's end.

The calls are those that a start is seen to make, each failing once in turn (strace's
inject). A short sample of them, with those that once ended it; all with
VMM_GUEST_FAULTS=all.
"""

import contextlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest

import codec

SEED = 11
SAMPLE = 24
ALWAYS = {"mmap", "signalfd4"}
TIMEOUT = 20

# So many errors are enough for what a start asks for; the first that fits is given.
ERRORS = {"openat": "ENOENT", "mount": "EINVAL", "mkdirat": "EROFS", "bind": "EADDRINUSE", "fork": "EAGAIN",
          "clone": "EAGAIN", "socket": "EAFNOSUPPORT", "read": "EIO", "write": "EIO"}

# What this machine shares with the guest can be looked at, and no more.
SCRIPT = """busybox mount -t proc proc /proc
busybox mount --bind /proc/sys /proc/sys
busybox mount -o remount,bind,ro /proc/sys
exec /sbin/vmm-guest-agent --listen=unix:/agent --workers=2 --cgroup=off --on-exit=halt"""

# strace counts for each process, so that each worker meets these too, and dies of it as
# often as it is replaced.
OF_WORKERS_TOO = {"epoll_create1", "epoll_ctl"}

# No call of these can fail, or the failure is the tool's own.
NEVER = {"execve", "exit", "exit_group", "rt_sigreturn", "brk", "restart_syscall", "vfork", "getpid"}


@pytest.fixture(scope="module")
def agent_root(tmp_path_factory):
    from conftest import BUILD, Root, libraries, run

    assert shutil.which("strace"), "no strace(1)"
    path = tmp_path_factory.mktemp("faults") / "root"
    path.mkdir()
    root = Root(path)
    root.mount_dev()
    root.copy(BUILD / "vmm-guest-agent", "/sbin/vmm-guest-agent")
    for library in libraries(BUILD / "vmm-guest-agent"):
        root.copy(library, library)
    yield root
    run("umount", "-R", path)


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as f:
            return [int(word) for word in f.read().split()]
    except FileNotFoundError:
        return []


class Start:
    """A start of the agent as process 1, under strace with OPTIONS."""

    def __init__(self, root, *options):
        self.root = root
        with contextlib.suppress(FileNotFoundError):
            os.unlink(root.at("/agent"))
        command = [
            "strace", "-f", "-qq", *options,
            "unshare", "--mount", "--net", "--uts", "--pid", "--fork", "--propagation", "private",
            "chroot", str(root.path), "/bin/sh", "-c", SCRIPT,
        ]  # fmt: skip
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            env={"PATH": "/bin:/usr/bin:/usr/sbin:/sbin"}, start_new_session=True)  # fmt: skip

    def __enter__(self):
        return self

    def init(self):
        """Process 1, by the number that it has here; 0 where there is none."""
        for unshare in children(self.process.pid):
            for init in children(unshare):
                return init
        return 0

    def is_served(self):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(5)
            try:
                sock.connect(str(self.root.at("/agent")))
                sock.sendall(b"CONNECT 52\n" + codec.encode(codec.STATUS_REQ))
                data = b""
                while part := sock.recv(65536):
                    data += part
            except OSError:
                return False
        frames = codec.Decoder().feed(data.partition(b"\n")[2])
        return bool(frames) and frames[-1].type == codec.EXIT

    def comes_to_serve(self, timeout=TIMEOUT):
        """False where it does not, or has ended."""
        end = time.monotonic() + timeout
        while time.monotonic() < end and self.process.poll() is None:
            if self.is_served():
                return True
            time.sleep(0.02)
        return False

    def __exit__(self, *_):
        init = self.init()
        if init:
            os.kill(init, signal.SIGKILL)
        self.said = self.process.communicate(timeout=TIMEOUT)[1].decode()


def calls_of_a_start(root, path):
    """(name, which one of its kind) of each call that process 1 makes from where the
    agent begins until it serves; of its kind means of that process, as strace counts."""
    with Start(root, "-o", str(path)) as start:
        assert start.comes_to_serve()
        init = start.init()
    counts, found, is_agent = {}, [], False
    for line in path.read_text(errors="replace").splitlines():
        match = re.match(rf"{init}\s+(\w+)\((.*)", line)
        if match is None:
            continue
        name, rest = match.groups()
        counts[name] = counts.get(name, 0) + 1
        # The agent's own first call, as process 1; before it was the dynamic linker.
        is_agent = is_agent or (name == "rt_sigprocmask" and rest.startswith("SIG_SETMASK, ~["))
        if is_agent and name not in NEVER:
            found.append((name, counts[name]))
        if is_agent and name == "accept4":
            break
    return found


@pytest.fixture(scope="module")
def calls(agent_root, tmp_path_factory):
    found = calls_of_a_start(agent_root, tmp_path_factory.mktemp("strace") / "calls")
    assert {"signalfd4", "listen", "mmap", "epoll_create1"} <= {name for name, _ in found}, found
    if os.environ.get("VMM_GUEST_FAULTS") != "all":
        sample = random.Random(SEED).sample(found, SAMPLE)
        found = [call for call in found if call in sample or call[0] in ALWAYS]
    return found


@pytest.mark.plain_build
def test_each_call_of_a_start_may_fail_once(agent_root, calls):
    wrong = []
    for name, which in calls:
        error = ERRORS.get(name, "ENOMEM")
        with Start(agent_root, "-e", f"trace={name}", "-o", "/dev/null",
                   "-e", f"inject={name}:error={error}:when={which}") as start:
            if name in OF_WORKERS_TOO and not start.comes_to_serve(2) and start.init():
                continue
            if not start.comes_to_serve():
                wrong.append((name, which, error, start.process.poll()))
    print(f"{len(calls)} faults, {len(wrong)} starts that did not come to serve")
    assert not wrong


@pytest.mark.plain_build
@pytest.mark.parametrize("name,first", [
    ("signalfd4", 1), ("timerfd_create", 1), ("inotify_init1", 1), ("prctl", 1), ("getrlimit", 1),
    ("prlimit64", 2), ("sysinfo", 1), ("fchmodat", 1)])
def test_a_call_that_always_fails_is_done_without(agent_root, name, first):
    with Start(agent_root, "-o", "/dev/null", "-e", f"trace={name}",
               "-e", f"inject={name}:error=ENOSYS:when={first}+") as start:
        # Without timers there are no watchdogs, and no workers: it is tried for ever.
        if name == "timerfd_create":
            assert not start.comes_to_serve(3) and start.init()
        else:
            assert start.comes_to_serve()


@pytest.mark.parametrize("name", ["socket", "listen", "bind", "socketpair"])
def test_what_it_cannot_do_without_is_tried_until_it_can_be_had(agent_root, name):
    """It fails three times."""
    with Start(agent_root, "-o", "/dev/null", "-e", f"trace={name}",
               "-e", f"inject={name}:error=ENOMEM:when=1..3") as start:
        assert start.comes_to_serve()
