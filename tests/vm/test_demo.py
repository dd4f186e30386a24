# SPDX-License-Identifier: MIT
"""The demo: what it says, its shell, and that an interrupt ends it and its guest."""

import contextlib
import os
import pathlib
import pty
import shutil
import signal
import subprocess
import sys

import pytest
import state

DEMO = pathlib.Path(__file__).resolve().parent / "demo"


@pytest.fixture
def start(pytestconfig, tmp_path):
    """The demo as a process of a session of its own, whose temporary files are in
    tmp_path; it is not left behind."""
    with contextlib.ExitStack() as stack:

        def begin(*arguments, **options):
            command = [sys.executable, "-B", DEMO, pytestconfig.build, *arguments]
            process = subprocess.Popen(
                command, env=os.environ | {"TMPDIR": str(tmp_path)}, start_new_session=True,
                preexec_fn=take_interrupts, text=True, **options,
            )  # fmt: skip
            stack.callback(process.wait)
            stack.callback(end_group, process)
            return process

        yield begin


def take_interrupts():
    """As at a terminal: what a shell runs in the background ignores them."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def end_group(process):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def has_members(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def read_until(fd, text):
    """What the terminal FD shows until it has shown TEXT, or nobody has it open any more."""
    shown = ""
    while text not in shown:
        try:
            shown += os.read(fd, 4096).decode(errors="replace")
        except OSError:
            break
    return shown


def test_demo_says_what_it_does_and_what_to_do_next(start, pytestconfig):
    process = start(stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    steps = ["vmm-guest-agent ", "is booting", "to an answer", "shutdown", "ended by itself", "./bootstrap demo shell"]
    places = [said.index(step) for step in steps]
    assert places == sorted(places)
    for program in ("vmm-guest-agent", "vmm-guest-ctl"):
        assert f"{pytestconfig.build}/{program}" in said


@pytest.mark.parametrize("moment", ["is booting", "It runs programs", "A worker dies"])
def test_interrupt_ends_the_demo_and_its_guest_without_a_traceback(start, tmp_path, moment):
    process = start(stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = ""
    while moment not in said:
        line = process.stdout.readline()
        assert line, said
        said += line
    os.killpg(process.pid, signal.SIGINT)
    said += process.communicate(timeout=120)[0]
    assert process.returncode == -signal.SIGINT, said
    assert "Traceback" not in said and "interrupted" in said
    assert not list(tmp_path.iterdir())
    state.wait_until(lambda: not has_members(process.pid))


def test_demo_shell_is_one_in_the_guest_and_ends_with_it(start):
    master, slave = pty.openpty()
    process = start("shell", stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    assert "A shell in the guest" in read_until(master, "# ")
    os.write(master, b"echo $((6 * 7)) from $(hostname)\n")
    read_until(master, "42 from microvm")
    os.write(master, b"exit\n")
    said = read_until(master, "ended by itself")
    assert process.wait(120) == 0, said
    os.close(master)


def test_bootstrap_demo_says_what_is_built_where_before_that_is_begun(tmp_path):
    stand_in = '#!/bin/sh\n[ "${0##*/}" = dpkg-query ] && echo "is installed" || echo "ran ${0##*/}" >&2\n'
    for name in ("configure", "tests/vm/kernel", "bin/autoreconf", "bin/make", "bin/dpkg-query"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(stand_in)
        path.chmod(0o755)
    (tmp_path / "configure").rename(tmp_path / "bin/made")
    (tmp_path / "bin/autoreconf").write_text(f"#!/bin/sh\nexec cp {tmp_path}/bin/made {tmp_path}/configure\n")
    (tmp_path / "tests/vm/demo").write_text("import sys\nprint('demo', *sys.argv[1:])\n")
    shutil.copy(DEMO.parents[2] / "bootstrap", tmp_path)
    done = subprocess.run(
        [tmp_path / "bootstrap", "demo", "shell"], env=os.environ | {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines() == [
        "bootstrap: making ./configure",
        "bootstrap: building the agent and its client in build-demo", "ran configure", "ran make",
        "demo build-demo shell",
    ], done.stdout  # fmt: skip
