# SPDX-License-Identifier: MIT
"""A guest that lives: forwarding, orphans, and many sessions of every kind, after
which all is as before."""

import json
import time

import pytest
import sessions
import state

WORKERS = 12
MIB = 1 << 20

# One of each kind; each ends by itself, the last by its client's being killed.
ROUND = """
vmm-guest-ctl exec -- true
vmm-guest-ctl exec -u guest -- sh -c 'exit 3'
vmm-guest-ctl exec -- no-such-program 2>/dev/null
vmm-guest-ctl exec -t -- ls / >/dev/null
head -c 300000 /dev/zero | vmm-guest-ctl exec -i -- cat >/dev/null
vmm-guest-ctl exec -- sh -c 'sleep 0.1 & exit 0'
vmm-guest-ctl exec --timeout 1 -- sleep 60
vmm-guest-ctl cp /bin/busybox vm:/soaked && vmm-guest-ctl cp vm:/soaked - >/dev/null
vmm-guest-ctl ls / >/dev/null; vmm-guest-ctl rm /soaked; vmm-guest-ctl cat /none 2>/dev/null
vmm-guest-ctl status >/dev/null
up=$(mktemp /up.XXXXXX); vmm-guest-ctl exec -- sh -c 'echo up; exec sleep 60' >$up &
until test -s $up; do sleep 0.1; done; kill -9 $!; rm $up; wait
"""


@pytest.fixture(scope="module")
def living(boot):
    with boot(f"vmm_agent.peer=any vmm_agent.workers={WORKERS} vmm_agent.recycle=0") as guest:
        guest.wait_ready()
        yield guest


def descriptors(guest, pid):
    """How many PID has. A worker keeps the cgroup of its last session, or has none yet;
    that one is not counted."""
    links = guest.output(f"ls -l /proc/{pid}/fd").splitlines()
    cells = [link for link in links if "/cgroup/sessions/" in link]
    assert len(cells) <= 1, cells
    return len(links) - len(cells)


def footprint(guest):
    """Descriptors of process 1 and of the workers, the guest's processes, the agent's
    memory in KiB."""
    pids = [1, *state.workers(guest)]
    fds = {pid: descriptors(guest, pid) for pid in pids}
    rollups = guest.output("cat " + " ".join(f"/proc/{pid}/smaps_rollup" for pid in pids))
    kib = sum(int(line.split()[1]) for line in rollups.splitlines() if line.startswith("Pss:"))
    return fds, len(state.processes(guest)), kib


def settled_footprint(guest):
    """The same, once no worker is closing a connection and process 1 has let go of it too."""
    def settled():
        first = footprint(guest)
        idle = all("idle" in title for title in state.workers(guest).values())
        return first if idle and footprint(guest)[:2] == first[:2] else None
    return state.wait_until(settled, 120)


def test_soak_leaves_descriptors_processes_and_memory_as_they_were(living):
    living.output(f"{ROUND} true", seconds=120)
    before, running, memory = settled_footprint(living)
    started = state.status(living)["sessions"]["started"]
    for _ in range(2):
        living.output(f"({ROUND}) & ({ROUND}) & wait; true", seconds=120)
    # A host that went away has its session killed 2 s later.
    state.wait_until(lambda: len(state.processes(living)) == running)
    after, _, kib = settled_footprint(living)
    assert state.status(living)["sessions"]["started"] - started >= 4 * 7
    assert after == before
    # A worker that had nothing to move before keeps its buffers warm from now on.
    assert kib <= memory + WORKERS * 256
    assert state.status(living)["worker_deaths"]["total"] == 0


def test_100_mib_of_an_http_server_come_whole_by_eight_forwarded_connections_at_a_time(living):
    page = 100 * MIB // 8
    living.output(f"mkdir -p /www; cd /www; head -c {page} /dev/urandom >page", seconds=60)
    living.output("vmm-guest-ctl exec -- httpd -p 127.0.0.1:8080 -h /www")
    living.output("vmm-guest-ctl wait-port 8080 --timeout 10")
    living.output("vmm-guest-ctl forward 127.0.0.1:9090:8080 >/dev/null 2>&1 & echo $! >/forward")
    living.output("until grep -q :2382 /proc/net/tcp; do sleep 0.1; done")
    fetch = "wget -q -O - http://127.0.0.1:9090/page | sha256sum >/got$i"
    living.output(f"for i in $(seq 8); do {fetch} & done; wait", seconds=120)
    sums = [line.split()[0] for line in living.output("cat /got*; sha256sum /www/page").splitlines()]
    living.output("kill $(cat /forward); rm -rf /got* /www; killall httpd")
    assert len(sums) == 9 and len(set(sums)) == 1


def test_10000_orphans_do_not_delay_a_sessions_exit(living):
    def seconds_of_a_session():
        begun = time.monotonic()
        living.output("vmm-guest-ctl exec -- true")
        return time.monotonic() - begun

    living.output("(while :; do :; done) >/dev/null 2>&1 & echo $! >/busy")
    before = sorted(seconds_of_a_session() for _ in range(5))
    living.output("kill $(cat /busy)")
    living.output("rm -f /orphaned; (orphans 10000; echo $? >/orphaned) >/dev/null 2>&1 &")
    took = []
    while living.run("test -s /orphaned").status != 0:
        took.append(seconds_of_a_session())
        time.sleep(0.3)
    assert living.output("cat /orphaned") == "0"
    assert took, "it was over before anything was measured"
    # A busy machine may hold some of them up; the orphans all.
    assert sorted(took)[len(took) // 2] < 10 * before[2] + 1, (before, took)
    state.wait_until(lambda: not [k for _, k, _ in state.processes(living).values() if k == "Z"])


def test_status_answers_while_orphans_come(living):
    living.output("(orphans 2000) >/dev/null 2>&1 &")
    assert json.loads(living.output("vmm-guest-ctl status --json"))["pid"] == 1


@pytest.mark.parametrize("name", ["symlinks", "hardlinks", "fifos", "regular"])
def test_links_that_workloads_plant_are_not_followed(living, name):
    assert living.output(f"cat /proc/sys/fs/protected_{name}") == "1"


def test_nobody_elses_process_is_signalled_though_numbers_are_used_again(boot):
    """So few that each is used again within a second; bystanders of all ages."""
    with boot("vmm_agent.peer=any vmm_agent.workers=6") as guest:
        guest.wait_ready()
        guest.output("echo 400 >/proc/sys/kernel/pid_max")
        guest.output("for i in $(seq 40); do sleep 4999 >/dev/null 2>&1 & orphans 7; done", 60)
        guest.output("(while :; do orphans 100; done) >/dev/null 2>&1 & echo $! >/churn")
        kill_it = "vmm-guest-ctl exec -- sh -c 'setsid sleep 60 & sleep 60' >/dev/null 2>&1 & sleep 0.3; kill -9 $!"
        for _ in range(2):
            guest.output(
                "for i in 1 2 3; do vmm-guest-ctl exec -- sh -c 'sleep 0.01 & exit 0'; done;"
                " vmm-guest-ctl exec --timeout 1 -- sh -c 'setsid sleep 60 & sleep 60' 2>/dev/null &"
                f" {kill_it}; wait; kill -9 {max(state.workers(guest))}; vmm-guest-ctl exec -- true",
                60,
            )
            time.sleep(2.5)  # a host that went has its session killed 2 s later
        guest.output("kill $(cat /churn)")

        def commands():
            return [command for _, _, command in state.processes(guest).values()]

        state.wait_until(lambda: commands().count("sleep 60") == 0)
        assert commands().count("sleep 4999") == 40
        assert max(state.processes(guest)) < 400


def test_a_worker_killed_by_what_it_serves_leaves_its_host_with_an_end(boot):
    """Over vsock, whose sends may take a part: within its first 32 KiB none is in doubt."""
    with boot("vmm_agent.peer=any vmm_agent.workers=32") as guest:
        guest.wait_ready()
        for script in ("echo x; kill -9 $PPID; exec sleep 60", "kill -9 $PPID & exit 7") * 5:
            session = sessions.start(guest, script)
            assert session.code in (7, 125), session.code
            assert session.code == 7 or "worker lost" in session.err
