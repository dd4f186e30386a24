# SPDX-License-Identifier: MIT
"""A cgroup for each session: what is killed, limited, measured and left behind."""

import json
import os
import time

import pytest
import recording
import state
from sessions import MIB, attach, counts_peaks, is_running, kill, kill_all, run, start

CGROUP = "/sys/fs/cgroup"


def cells(guest):
    """The cgroups of sessions: those that workers keep, and what was left behind."""
    return guest.output(f"cd {CGROUP}/sessions && ls -d [0-9]* 2>/dev/null || true").split()


def detached(guest):
    return [slot for slot in state.status(guest)["slots"] if slot["kind"] == "detached"]


def test_the_agent_and_the_sessions_are_in_cgroups_of_their_own(guest):
    assert guest.output("cat /proc/1/cgroup").endswith("0::/agent")
    worker = next(iter(state.workers(guest)))
    assert guest.output(f"cat /proc/{worker}/cgroup").endswith("0::/agent")
    assert "0::/sessions/" in start(guest, "cat /proc/self/cgroup").out


def test_the_agents_memory_is_protected(guest):
    assert int(guest.output(f"cat {CGROUP}/agent/memory.min")) > 0


def test_sessions_can_not_take_every_pid(guest):
    most = min(int(guest.output(f"cat /proc/sys/kernel/{name}")) for name in ("pid_max", "threads-max"))
    assert int(guest.output(f"cat {CGROUP}/sessions/pids.max")) <= most * 7 // 8


def test_sessions_leave_the_journals_their_memory(boot):
    def memory_max(options):
        with boot(f"vmm_agent.workers=4 vmm_agent.peer=any {options}") as own:
            own.wait_ready()
            total = int(own.output("sed -n 's/^MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo")) * 1024
            return int(own.output(f"cat {CGROUP}/sessions/memory.max")), total

    without, total = memory_max("vmm_agent.journals_mib=0")
    with_journals, _ = memory_max("")
    # What is available at boot is not the same twice.
    assert total // 32 < without - with_journals < total // 8


def test_a_user_who_fills_every_tmpfs_takes_no_worker_with_him(boot):
    """What lies in a tmpfs no kill gives back: at its end the kernel would have nobody
    left to kill but the agent."""
    with boot("vmm_agent.workers=4 vmm_agent.peer=any") as own:
        own.wait_ready()
        own.output("mkdir -p /tmp && chmod 1777 /tmp")
        workers = state.workers(own)
        fill = "for d in /dev/shm /tmp /dev/shm /tmp; do dd if=/dev/zero of=$d/$$.$RANDOM bs=1M; done"
        for _ in range(2):
            start(own, fill, user="1000")
        assert start(own, "echo x").out == "x\n"
        assert state.workers(own).keys() == workers.keys()
        assert state.status(own)["worker_deaths"]["total"] == 0


def test_a_cgroup_that_a_session_made_is_gone_with_it(guest):
    own = f"{CGROUP}$(sed s/^0::// /proc/self/cgroup)/own"
    for _ in range(4):
        assert start(guest, f"mkdir {own} && echo made").out == "made\n"
    # Its connection has closed before the worker has looked.
    state.wait_until(lambda: not guest.output(f"ls -d {CGROUP}/sessions/*/own 2>/dev/null; true"))


def test_setsid_escapee_is_killed_on_timeout(guest):
    end = start(guest, "setsid sleep 4711 & sleep 60", timeout_seconds=1)
    assert (end.code, end.signal) == (137, 9)
    assert not is_running(guest, "sleep 4711")


def test_setsid_escapee_is_killed_when_the_host_goes(guest):
    script = "setsid sh -c 'trap : HUP; while :; do sleep 4712; done' & sleep 60"
    guest.run(f'vmm-guest-ctl exec -- sh -c "{script}" & sleep 1; kill -9 $!')
    state.wait_until(lambda: not is_running(guest, "4712"))


def test_setsid_escapee_dies_with_the_worker(guest):
    script = "setsid sleep 4713 & sleep 1; kill -9 $PPID; sleep 60"
    end = start(guest, script)
    assert end.code == 125 and "worker lost" in end.err
    state.wait_until(lambda: not is_running(guest, "sleep 4713"))


def test_a_background_child_outlives_a_session_that_ended_by_itself(guest):
    end = start(guest, "sleep 4714 >/dev/null 2>&1 & echo x")
    assert (end.code, end.out) == (0, "x\n")
    assert is_running(guest, "sleep 4714")
    kill_all(guest, "sleep 4714")


def test_oom_is_reported_and_agent_lives(guest):
    before = state.status(guest)
    end = start(guest, "tail /dev/zero", limits={"memory_bytes": 16 * MIB}, report=True)
    assert (end.code, end.signal) == (137, 9)
    assert end.exited["reason"] == "oom"
    assert end.exited["oom_kills"] >= 1
    after = state.status(guest)
    assert after["sessions"]["oom"] == before["sessions"]["oom"] + 1
    assert after["worker_deaths"] == before["worker_deaths"]


def test_oom_ends_a_durable_session_as_any_other(guest):
    end = start(guest, "echo up; tail /dev/zero", name="oom", durable={}, limits={"memory_bytes": 16 * MIB})
    assert (end.code, end.signal, end.out) == (137, 9, "up\n")
    kept = attach(guest, "oom")
    assert (kept.code, kept.signal, kept.out) == (137, 9, "up\n")
    assert kept.exited["reason"] == "oom" and kept.exited["oom_kills"] >= 1


@pytest.mark.parametrize("name", recording.names())
def test_a_transcript_that_takes_a_guest_is_what_is_in_the_tree(guest, name):
    text = recording.record(guest, name)
    if os.environ.get("VGA_WRITE_TRANSCRIPTS", "") not in ("", "0"):
        recording.path_of(name).write_text(text)
    assert recording.path_of(name).read_text() == text


def test_oom_of_the_whole_guest_takes_the_session_and_not_the_agent(guest):
    before = state.status(guest)["worker_deaths"]
    end = start(guest, "tail /dev/zero", report=True, timeout_seconds=50)
    assert (end.signal, end.exited["reason"]) == (9, "oom")
    assert state.status(guest)["worker_deaths"] == before


def test_sigkill_of_others_is_no_oom(guest):
    end = start(guest, "kill -9 $$", limits={"memory_bytes": 16 * MIB}, report=True)
    assert end.exited["reason"] == "signaled"


def test_limits_stand_in_the_sessions_cgroup_before_it_runs(guest):
    limits = {"memory_bytes": 32 * MIB, "pids": 20, "cpu_percent": 50}
    script = f"cd {CGROUP}$(cut -d: -f3 /proc/self/cgroup); cat memory.max pids.max cpu.max"
    assert start(guest, script, limits=limits).out.split() == [str(32 * MIB), "20", "50000", "100000"]


def test_limits_of_one_session_are_not_the_next_ones(guest):
    start(guest, "true", limits={"pids": 5})
    script = f"cat {CGROUP}$(cut -d: -f3 /proc/self/cgroup)/pids.max"
    assert {start(guest, script).out for _ in range(8)} == {"max\n"}


def test_limits_of_a_program_that_could_not_be_run_are_not_the_next_ones(guest):
    for _ in range(8):
        assert run(guest, "no-such-program", limits={"pids": 5}).code == 127
        assert start(guest, "true", limits={"memory_bytes": 64 * MIB, "pids": 2**40}).code == 125
    script = f"cd {CGROUP}$(cut -d: -f3 /proc/self/cgroup); cat memory.max pids.max"
    assert {start(guest, script).out for _ in range(8)} == {"max\nmax\n"}


def test_a_limit_that_can_not_be_had_is_refused_by_name(guest):
    end = start(guest, "true", limits={"pids": 2**40})
    assert end.code == 125 and "limit 'pids' can't be had" in end.err


def test_fork_bomb_within_its_limit_leaves_the_agent_answering(guest):
    bomb = "bomb() { bomb | bomb & }; bomb; sleep 8"
    guest.run(f"vmm-guest-ctl exec --timeout 4 --limit pids=50 -- sh -c '{bomb}' >/dev/null 2>&1 &")
    state.wait_until(lambda: is_running(guest, "bomb"))
    took = float(guest.output("time -f %e vmm-guest-ctl status --json 2>&1 >/dev/null | tail -n 1"))
    assert took < 20, "without a limit it would be minutes; the guest is emulated"
    state.wait_until(lambda: not is_running(guest, "bomb"))


def test_report_has_times_and_the_peak_of_memory(guest):
    end = start(guest, "dd if=/dev/zero of=/dev/null bs=8M count=1 2>/dev/null", report=True)
    assert [event["event"] for event in end.events] == ["started", "exited"]
    assert end.exited["max_rss_kb"] > 8 * 1024
    if counts_peaks(guest):
        assert 8 * MIB < end.exited["memory_peak_bytes"] < 64 * MIB
    else:
        assert "memory_peak_bytes" not in end.exited
    assert end.exited["oom_kills"] == 0 and end.exited["output_held"] is False
    assert end.exited["wall_ms"] >= 0 and end.exited["reason"] == "exited"


def test_a_worker_keeps_its_cgroup_while_it_is_empty(guest):
    seen = {start(guest, "cat /proc/self/cgroup").out for _ in range(20)}
    assert len(seen) <= len(state.workers(guest))


def test_a_cgroup_that_was_killed_is_never_used_again(guest):
    for _ in range(8):
        start(guest, "sleep 60 & sleep 60", timeout_seconds=1)
    for _ in range(8):
        assert start(guest, "echo alive").out == "alive\n"


def test_a_session_that_ruins_its_cgroup_does_not_ruin_the_next(guest):
    """With a controller handed down in it, nobody can be born in a cgroup any more."""
    ruin = """
        own=/sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)
        mkdir $own/below
        echo $$ >$own/below/cgroup.procs
        echo +memory >$own/cgroup.subtree_control
        cat $own/cgroup.subtree_control"""
    for _ in range(3):
        assert start(guest, ruin).out == "memory\n"
        for _ in range(4):
            end = start(guest, "echo x")
            assert (end.code, end.out) == (0, "x\n"), end.err


def test_a_cgroup_that_kill_killed_is_never_used_again(guest):
    killed, sessions = set(), set()
    for _ in range(6):
        guest.run(
            "vmm-guest-ctl exec -- sh -c 'cat /proc/self/cgroup >/cell; exec sleep 4730'"
            " >/dev/null 2>&1 &"
        )
        slot = state.wait_until(
            lambda: next((s for s in state.status(guest)["slots"]
                          if "4730" in s["command"] and s["session"] not in sessions), None)
        )
        sessions.add(slot["session"])
        state.wait_until(lambda: is_running(guest, "sleep 4730"))
        killed.add(guest.output("cat /cell"))
        assert kill(guest, slot["session"], 9) == 0
        state.wait_until(lambda: not is_running(guest, "sleep 4730"))
    seen = {start(guest, "cat /proc/self/cgroup").out.strip() for _ in range(10)}
    assert not killed & seen and "" not in seen


def test_a_cgroup_that_somebody_froze_is_not_forked_into(guest):
    deaths = state.status(guest)["worker_deaths"]
    thrice = "for i in 1 2 3; do vmm-guest-ctl exec --timeout 30 -- sh -c 'sleep 1; echo alive' & done; wait"
    guest.output(thrice)
    script = (
        f"own=$(cut -d: -f3 /proc/self/cgroup); cd {CGROUP}/sessions; for cell in [0-9]*; do"
        " [ /sessions/$cell = $own ] || { echo 1 >$cell/cgroup.freeze && echo $cell; }; done"
    )
    assert len(start(guest, script).out.split()) >= 2
    assert guest.output(thrice).split() == ["alive"] * 3
    assert state.status(guest)["worker_deaths"] == deaths


def test_cgroups_that_emptied_are_collected(guest):
    for _ in range(12):
        start(guest, "sleep 0.2 >/dev/null 2>&1 & true", report=True)
    state.wait_until(lambda: not is_running(guest, "sleep 0.2"))

    def are_collected():
        start(guest, "true", report=True)
        return len(cells(guest)) <= len(state.workers(guest)) + 1
    state.wait_until(are_collected)


def test_cgroups_of_detached_programs_are_removed_when_they_empty(guest):
    guest.output("touch /held")
    before = set(cells(guest))
    for _ in range(6):
        start(guest, "setsid sh -c 'while test -e /held; do sleep 0.1; done' & sleep 1 & exit 0", detach=True)
    made = set(cells(guest)) - before
    assert len(made) == 6
    guest.output("rm /held")
    state.wait_until(lambda: not made & set(cells(guest)))
    state.wait_until(lambda: not detached(guest))


@pytest.mark.parametrize("limit", ["pids.max 9", "memory.max 64000000", "memory.high 64000000", "cpu.max 50000"])
def test_a_limit_that_a_session_sets_on_itself_ends_with_it(guest, limit):
    file, value = limit.split()
    script = f"echo {value} >{CGROUP}$(cut -d: -f3 /proc/self/cgroup)/{file}"
    assert start(guest, script).code == 0
    for _ in range(2 * len(state.workers(guest))):
        look = f"cat {CGROUP}$(cut -d: -f3 /proc/self/cgroup)/{file}"
        assert start(guest, look).out.startswith("max")


def test_what_a_session_made_below_its_cgroup_is_removed_too(guest):
    script = f"mkdir -p {CGROUP}$(cut -d: -f3 /proc/self/cgroup)/own/.deep"
    assert start(guest, script, report=True).code == 0
    for _ in range(12):
        start(guest, "true", report=True)
    state.wait_until(lambda: guest.output(f"find {CGROUP}/sessions -name own") == "")


def test_what_a_living_child_made_below_its_cgroup_is_left(guest):
    script = f"mkdir {CGROUP}$(cut -d: -f3 /proc/self/cgroup)/kept; sleep 4731 >/dev/null 2>&1 &"
    assert start(guest, script, report=True).code == 0
    for _ in range(12):
        start(guest, "true", report=True)
    assert guest.output(f"find {CGROUP}/sessions -name kept").count("kept") == 1
    kill_all(guest, "sleep 4731")


def test_a_detached_program_is_listed_until_its_cgroup_is_empty(guest):
    guest.output("touch /held")
    end = start(guest, "setsid sh -c 'while test -e /held; do sleep 0.1; done' & exit 0", detach=True)
    assert end.code == 0
    assert len(detached(guest)) == 1
    guest.output("rm /held")
    state.wait_until(lambda: not detached(guest))


def test_kill_9_reaches_everything_a_detached_program_started(guest):
    start(guest, "setsid sleep 4715 & exec sleep 4716", detach=True)
    (slot,) = detached(guest)
    assert kill(guest, slot["session"], 9) == 0
    state.wait_until(lambda: not is_running(guest, "sleep 4715", "sleep 4716"))
    state.wait_until(lambda: not detached(guest))


def test_kill_9_reaches_everything_a_session_started(guest):
    guest.run("vmm-guest-ctl exec -- sh -c 'setsid sleep 4717 & exec sleep 4718' >/dev/null 2>&1 &")
    slot = state.wait_until(
        lambda: next((s for s in state.status(guest)["slots"] if "4718" in s["command"]), None)
    )
    state.wait_until(lambda: is_running(guest, "sleep 4717"))
    assert kill(guest, slot["session"], 9) == 0
    state.wait_until(lambda: not is_running(guest, "sleep 4717", "sleep 4718"))


@pytest.mark.parametrize("way", ["timeout", "exit"])
def test_a_fork_storm_is_killed_to_the_last_process(guest, way):
    storm = "trap '' TERM HUP; while :; do setsid sh -c 'sleep 0.1' & done"
    if way == "timeout":
        start(guest, f"({storm}) & sleep 60", timeout_seconds=1, limits={"pids": 100})
    else:
        guest.run(f'timeout -s KILL 2 vmm-guest-ctl exec --limit pids=100 -- sh -c "{storm}"')
        time.sleep(3)
    state.wait_until(lambda: not is_running(guest, "sleep 0.1"))


def test_without_cgroups_a_session_is_its_process_group(boot):
    with boot("vmm_agent.workers=4 vmm_agent.peer=any vmm_agent.cgroup=off") as plain:
        plain.wait_ready()
        assert plain.console().count("process group") == 1
        assert "0::/sessions" not in start(plain, "cat /proc/self/cgroup").out
        end = start(plain, "sleep 4719 & sleep 60", timeout_seconds=1)
        assert end.code == 137 and not is_running(plain, "sleep 4719")
        end = start(plain, "true", limits={"pids": 5})
        assert end.code == 125 and "pids" in end.err


# What a session of the shell's prints of its cgroup: the name, and microseconds of CPU.
OWN_CPU = (
    "cell=$(cut -d/ -f3 /proc/self/cgroup);"
    f" echo $cell $(sed -n 's/usage_usec //p' {CGROUP}/sessions/$cell/cpu.stat);"
)
BUSY = "i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done;"


def test_a_session_s_cpu_is_its_own_though_its_cgroup_was_used_before(guest):
    used = {}  # a cgroup, and what it had when the last session there was nearly at its end
    for _ in range(20):
        cell, cpu_us = start(guest, BUSY + OWN_CPU).out.split()
        used[cell] = int(cpu_us)
        ask = BUSY + OWN_CPU + "vmm-guest-ctl -a vsock:1 status --json;" + OWN_CPU
        lines = start(guest, ask).out.splitlines()
        cell, earlier = lines[0].split()
        (slot,) = [s for s in json.loads(lines[1])["slots"] if s["kind"] == "exec"]
        _, later = lines[2].split()
        assert slot["memory_bytes"] > 0 and slot["cpu_us"] > 0
        if cell in used and str(slot["session"]) != cell:
            break
        used[cell] = int(later)
    else:
        raise AssertionError("no worker kept its cgroup")
    # A millisecond is for what rounds, and for the way to the end.
    assert slot["cpu_us"] <= int(later) - used[cell] + 1000
    assert slot["cpu_us"] >= (int(earlier) - used[cell]) // 2


def test_a_detached_program_s_memory_and_cpu_are_told(guest):
    start(guest, BUSY + "exec sleep 4732", detach=True)
    slot = state.wait_until(
        lambda: next((s for s in detached(guest) if s["cpu_us"] > 0 and is_running(guest, "4732")), None)
    )
    assert slot["memory_bytes"] > 0
    assert kill(guest, slot["session"], 9) == 0
    state.wait_until(lambda: not detached(guest))
