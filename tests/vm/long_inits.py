# SPDX-License-Identifier: MIT
"""The agent as a service of OpenRC and of runit, each process 1 of a Debian, by the files of
src/packaging. make check-long has these; tests/inits has both without a guest."""

import json

import debian_guest
import pytest
import state


@pytest.fixture(scope="module", params=["openrc", "runit"])
def init(request):
    return request.param


@pytest.fixture(scope="module")
def hosted(hosting, pytestconfig, tmp_path_factory, init):
    initrd, devices = debian_guest.write(tmp_path_factory.mktemp(init), pytestconfig.build, init)
    with hosting("", initrd=initrd, devices=devices) as started:
        done = started.ctl("wait", "--timeout", "55")
        assert done.returncode == 0, (done.stderr, started.guest.report())
        yield started


def answering(hosted):
    """The agent's process, None while there is no answer."""
    done = hosted.ctl("status", "--json")
    return json.loads(done.stdout)["pid"] if done.returncode == 0 else None


def test_init_is_the_guests_own_and_runs_the_agent(hosted, init):
    comm = {"openrc": "init", "runit": "runit"}[init]
    assert hosted.guest.output("cat /proc/1/comm") == comm
    assert hosted.status()["pid"] > 1
    assert hosted.guest.output(f"cat /proc/{hosted.status()['pid']}/oom_score_adj") == "-1000"


def test_agent_that_was_killed_is_started_again(hosted):
    before = hosted.status()["pid"]
    hosted.guest.output(f"kill -9 {before}")
    state.wait_until(lambda: answering(hosted) not in (None, before), 60)
    assert hosted.start("exit 7").result().code == 7


def test_log_is_where_the_file_says(hosted, init):
    log = {"openrc": "/var/log/vmm-guest-agent.log", "runit": "/var/log/vmm-guest-agent/current"}[init]
    state.wait_until(lambda: hosted.guest.run(f"grep -q 'ready: ' {log}").status == 0)


def test_shutdown_ends_the_guest_by_its_init_which_ends_the_agent(hosted):
    """The last one: there is no guest behind it."""
    conn = hosted.start("exec sleep 1000")
    assert hosted.ctl("shutdown", "--poweroff").returncode == 0
    assert conn.result().code == 128 + 15
    hosted.guest.wait_end(120)
    assert "reboot: Power down" in hosted.guest.console()
    assert "Kernel panic" not in hosted.guest.console()
