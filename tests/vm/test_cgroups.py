"""A cgroup for each session: what is killed, limited, measured and left behind."""

import json
import struct
import time

import pytest
import state

START, KILL, STDOUT, STDERR, EXIT, STATUS = 0x01, 0x44, 0x10, 0x11, 0x12, 0x50
CGROUP = "/sys/fs/cgroup"
MIB = 1024 * 1024


class Session:
    """What a START came to."""

    def __init__(self, frames):
        self.out = b"".join(data for kind, data in frames if kind == STDOUT).decode()
        self.err = b"".join(data for kind, data in frames if kind == STDERR).decode()
        self.events = [json.loads(data) for kind, data in frames if kind == STATUS]
        assert frames and frames[-1][0] == EXIT, frames
        self.code, self.signal = struct.unpack("<ii", frames[-1][1])

    @property
    def exited(self):
        return next(event for event in self.events if event["event"] == "exited")


def start(guest, script, **members):
    request = json.dumps({"cmd": ["sh", "-c", script], **members}).encode()
    return Session(guest.frames(52, (START, request), seconds=60))


def kill(guest, session, signal):
    request = json.dumps({"session": session, "signal": signal}).encode()
    ((kind, data),) = guest.frames(52, (KILL, request))
    assert kind == EXIT
    return struct.unpack("<ii", data)[0]


def cells(guest):
    """The cgroups of sessions: those that workers keep, and what was left behind."""
    return guest.output(f"cd {CGROUP}/sessions && ls -d [0-9]* 2>/dev/null || true").split()


def is_running(guest, *titles):
    commands = [command for _, kind, command in state.processes(guest).values() if kind != "Z"]
    return any(title in command for command in commands for title in titles)


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


def test_setsid_escapee_is_killed_on_timeout(guest):
    end = start(guest, "setsid sleep 4711 & sleep 60", timeout_seconds=1)
    assert (end.code, end.signal) == (137, 9)
    assert not is_running(guest, "sleep 4711")


def test_setsid_escapee_is_killed_when_the_host_goes(guest):
    script = "setsid sh -c 'trap : HUP; while :; do sleep 4712; done' & sleep 60"
    guest.run(f'vmm-guest-ctl exec -- sh -c "{script}" & sleep 1; kill -9 $!')
    state.wait_until(lambda: not is_running(guest, "4712"), 10)


def test_setsid_escapee_dies_with_the_worker(guest):
    script = "setsid sleep 4713 & sleep 1; kill -9 $PPID; sleep 60"
    end = start(guest, script)
    assert end.code == 125 and "worker lost" in end.err
    state.wait_until(lambda: not is_running(guest, "sleep 4713"))


def test_a_background_child_outlives_a_session_that_ended_by_itself(guest):
    end = start(guest, "sleep 4714 >/dev/null 2>&1 & echo x")
    assert (end.code, end.out) == (0, "x\n")
    assert is_running(guest, "sleep 4714")
    guest.run("busybox pkill -f \"sleep 4714\"")


def test_oom_is_reported_and_agent_lives(guest):
    before = state.status(guest)
    end = start(guest, "tail /dev/zero", limits={"memory_bytes": 16 * MIB}, report=True)
    assert (end.code, end.signal) == (137, 9)
    assert end.exited["reason"] == "oom"
    assert end.exited["oom_kills"] >= 1
    after = state.status(guest)
    assert after["sessions"]["oom"] == before["sessions"]["oom"] + 1
    assert after["worker_deaths"] == before["worker_deaths"]


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


def test_a_limit_that_can_not_be_had_is_refused_by_name(guest):
    end = start(guest, "true", limits={"cpu_percent": 0})
    assert end.code == 125 and "cpu_percent" in end.err


def test_fork_bomb_within_its_limit_leaves_the_agent_answering(guest):
    bomb = "bomb() { bomb | bomb & }; bomb; sleep 8"
    guest.run(f"vmm-guest-ctl exec --timeout 4 --limit pids=50 -- sh -c '{bomb}' >/dev/null 2>&1 &")
    time.sleep(1)
    took = float(guest.output("time -f %e vmm-guest-ctl status --json 2>&1 >/dev/null | tail -n 1"))
    assert took < 2, "without a limit it would be minutes; the guest is emulated"
    state.wait_until(lambda: not is_running(guest, "bomb"), 20)


def test_report_has_times_and_the_peak_of_memory(guest):
    end = start(guest, "dd if=/dev/zero of=/dev/null bs=8M count=1 2>/dev/null", report=True)
    assert [event["event"] for event in end.events] == ["started", "exited"]
    assert end.exited["max_rss_kb"] > 8 * 1024
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


def test_cgroups_that_emptied_are_collected(guest):
    for _ in range(12):
        start(guest, "sleep 0.2 >/dev/null 2>&1 & true", report=True)
    time.sleep(0.5)
    start(guest, "true", report=True)
    assert len(cells(guest)) <= len(state.workers(guest)) + 1


def test_a_detached_program_is_listed_until_its_cgroup_is_empty(guest):
    end = start(guest, "setsid sleep 3 & exit 0", detach=True)
    assert end.code == 0
    assert len(detached(guest)) == 1
    state.wait_until(lambda: not detached(guest), 15)


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
    state.wait_until(lambda: not is_running(guest, "sleep 0.1"), 10)


def test_without_cgroups_a_session_is_its_process_group(boot):
    with boot("vmm_agent.workers=4 vmm_agent.peer=any vmm_agent.cgroup=off") as plain:
        plain.wait_ready()
        assert plain.console().count("process group") == 1
        assert "0::/sessions" not in start(plain, "cat /proc/self/cgroup").out
        end = start(plain, "sleep 4719 & sleep 60", timeout_seconds=1)
        assert end.code == 137 and not is_running(plain, "sleep 4719")
        end = start(plain, "true", limits={"pids": 5})
        assert end.code == 125 and "pids" in end.err
