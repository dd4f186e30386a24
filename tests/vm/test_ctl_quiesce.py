# SPDX-License-Identifier: MIT
"""The client takes a snapshot of a real guest, and puts right what is started from it."""

import contextlib
import subprocess

import pytest
import state
from snapshot import booted

UNTIL_END = "touch begun; until [ -e end ]; do sleep .1; done"


@pytest.fixture(scope="module")
def machine(boot, pytestconfig):
    with booted(boot, pytestconfig.build) as started:
        started.plug()
        yield started


@contextlib.contextmanager
def held(machine, folder, *options):
    """The client holds the guest within the block; then .errors is what it said, .code how it
    ended."""
    process = subprocess.Popen(
        [machine.ctl_path, "-a", f"unix:{machine.host.path}", "quiesce", "--all", "--within", "60",
         "--hold", "600", "--report", *options, "--", "sh", "-c", UNTIL_END],
        cwd=folder, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        state.wait_until(lambda: (folder / "begun").exists() or process.poll() is not None, 120)
        yield process
        (folder / "end").touch()
        process.errors = process.communicate(timeout=120)[1]
    finally:
        process.kill()
        process.wait()


def test_machine_whose_connections_its_snapshot_reset_goes_on(machine, tmp_path):
    with held(machine, tmp_path, "--snapshot") as process:
        assert machine.status()["quiesce"]["phase"] == "held"
        machine.unplug()
        machine.save("held")
        machine.plug()
        assert machine.status()["quiesce"]["phase"] == "held"
        assert "Quiesced" in machine.ctl("status").stdout
    assert process.returncode == 0, process.errors
    assert "frozen: /disk (ext4)" in process.errors and "thawed after" in process.errors
    assert "quiesce" not in machine.status()
    assert machine.ctl("exec", "--", "touch", "/disk/goes-on").returncode == 0


def test_without_snapshot_that_is_no_success(machine, tmp_path):
    with held(machine, tmp_path) as process:
        machine.unplug()
        machine.plug()
        state.wait_until(lambda: "quiesce" not in machine.status(), 60)
    assert process.returncode == 125
    assert "may have gone on too early" in process.errors and "--snapshot is for" in process.errors


def test_what_is_started_from_it_stands_still_until_it_is_told_who_it_is(machine):
    machine.unplug()
    machine.load("held")
    machine.plug()
    assert machine.status()["quiesce"]["phase"] == "held"
    before = machine.ctl("restored", "--no-thaw", "--json")
    assert before.returncode == 0 and machine.status()["quiesce"]["phase"] == "held"
    done = machine.ctl("restored", "--generation", "2", "--hostname", "web-2", "--machine-id")
    assert (done.returncode, done.stderr) == (0, "")
    assert "quiesce" not in machine.status()
    assert machine.ctl("exec", "hostname").stdout == "web-2\n"
    assert machine.ctl("thaw").returncode == 1
