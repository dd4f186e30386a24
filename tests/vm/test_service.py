# SPDX-License-Identifier: MIT
"""The agent as a service, under an init that is not the agent: it puts its sessions
into the cgroup that was delegated to it, and touches no other."""

import pytest
import state
from sessions import MIB, counts_peaks, is_running, kill, kill_all, start

UNIFIED = "/sys/fs/cgroup"
HYBRID = "/sys/fs/cgroup/unified"


class Service:
    """An agent that a manager started in CGROUP, of which it said by ATTRIBUTE that
    it is delegated."""

    def __init__(self, guest, cgroup, attribute="user.delegate", options=""):
        self.guest = guest
        self.path = cgroup.split("//")[0]
        self.pid = int(guest.output(
            f"delegate {attribute} {cgroup} vmm-guest-agent --peer=any --workers=4 {options}"
            " >/log 2>&1 & echo $!"
        ))  # fmt: skip
        guest.wait_ready(20)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.guest.output(f"kill {self.pid}; while kill -0 {self.pid} 2>/dev/null; do sleep 0.1; done")

    def log(self):
        return self.guest.output("cat /log")

    def cgroup_of(self, pid):
        """Its v2 cgroup."""
        return self.guest.output(f"sed -n s/^0:://p /proc/{pid}/cgroup")

    def cgroups(self):
        """The cgroups below the service's own."""
        found = self.guest.output(f"cd {self.path} && find . -mindepth 1 -type d").split()
        return {path.removeprefix("./") for path in found}

    def read(self, name):
        return self.guest.output(f"cat {self.path}/{name}")


@pytest.fixture(scope="module")
def unified(boot):
    with boot("test_init=unified") as guest:
        yield guest


@pytest.fixture(scope="module")
def hybrid(boot):
    with boot("test_init=hybrid") as guest:
        yield guest


@pytest.fixture(scope="module", params=["unified", "hybrid"])
def service(request):
    guest = request.getfixturevalue(request.param)
    top = UNIFIED if request.param == "unified" else HYBRID
    with Service(guest, f"{top}/agent.service") as started:
        yield started


def test_agent_and_sessions_are_in_cgroups_of_their_own_below_the_delegated_one(service):
    assert service.cgroup_of(service.pid) == "/agent.service/agent"
    worker = min(state.workers(service.guest, service.pid))
    assert service.cgroup_of(worker) == "/agent.service/agent"
    assert "0::/agent.service/sessions/" in start(service.guest, "cat /proc/self/cgroup").out
    assert service.read("cgroup.procs") == ""
    assert "process group" not in service.log()


@pytest.mark.parametrize("how", ["timeout", "host", "worker", "kill"])
def test_setsid_escapee_is_killed(service, how):
    guest = service.guest
    if how == "timeout":
        end = start(guest, "setsid sleep 4721 & sleep 60", timeout_seconds=1)
        assert (end.code, end.signal) == (137, 9)
        assert not is_running(guest, "sleep 4721")
    if how == "host":
        script = "setsid sh -c 'trap : HUP; while :; do sleep 4721; done' & sleep 60"
        guest.run(f'vmm-guest-ctl exec -- sh -c "{script}" & sleep 1; kill -9 $!')
    if how == "worker":
        assert start(guest, "setsid sleep 4721 & sleep 1; kill -9 $PPID; sleep 60").code == 125
    if how == "kill":
        start(guest, "setsid sleep 4721 & exec sleep 4722", detach=True)
        (slot,) = [s for s in state.status(guest)["slots"] if s["kind"] == "detached"]
        assert kill(guest, slot["session"], 9) == 0
    state.wait_until(lambda: not is_running(guest, "4721", "4722"))


def test_what_a_session_made_below_its_cgroup_is_removed_with_it(service):
    top = HYBRID if "unified" in service.path else UNIFIED
    script = f"mkdir -p {top}$(sed -n s/^0:://p /proc/self/cgroup)/own/.deep/deeper"
    assert start(service.guest, script, report=True).code == 0
    for _ in range(8):
        start(service.guest, "true", report=True)
    state.wait_until(lambda: not [path for path in service.cgroups() if "own" in path])


def test_limits_are_kept_by_the_controllers_that_were_delegated(unified):
    with Service(unified, f"{UNIFIED}/limits.service") as service:
        assert set(service.read("cgroup.subtree_control").split()) == {"memory", "pids", "cpu"}
        limits = {"memory_bytes": 32 * MIB, "pids": 20, "cpu_percent": 50}
        script = f"cd {UNIFIED}$(sed -n s/^0:://p /proc/self/cgroup); cat memory.max pids.max cpu.max"
        end = start(unified, script, limits=limits)
        assert end.out.split() == [str(32 * MIB), "20", "50000", "100000"]
        end = start(unified, "for i in 1 2 3 4 5 6; do sleep 1 & done; wait", limits={"pids": 4})
        assert "fork" in end.err


def test_oom_is_reported_and_the_service_lives(unified):
    with Service(unified, f"{UNIFIED}/oom.service") as service:
        end = start(unified, "tail /dev/zero", limits={"memory_bytes": 16 * MIB}, report=True)
        assert (end.signal, end.exited["reason"]) == (9, "oom")
        assert end.exited["oom_kills"] >= 1
        assert end.exited.get("memory_peak_bytes", 0) > 0 or not counts_peaks(unified)
        status = state.status(unified)
        assert status["pid"] == service.pid and status["worker_deaths"]["total"] == 0


def test_journals_take_a_sixteenth_of_what_the_service_may_have(unified):
    path = f"{UNIFIED}/small.service"
    unified.output(f"mkdir {path} && echo {64 * MIB} >{path}/memory.max")
    with Service(unified, path):
        end = start(unified, "echo x", name="large", durable={"buffer_bytes": 4 * MIB})
        assert (end.code, end.err.strip()) == (125, "busy: journals hold 0 MiB of 4")
        end = start(unified, "echo x", name="small", durable={"buffer_bytes": 2 * MIB})
        assert (end.code, end.out) == (0, "x\n")


def test_limits_without_their_controllers_are_refused_by_name(hybrid):
    with Service(hybrid, f"{HYBRID}/limits.service"):
        for name in ("memory_bytes", "pids", "cpu_percent"):
            end = start(hybrid, "true", limits={name: 64 * MIB if "bytes" in name else 50})
            assert end.code == 125 and name in end.err
        assert start(hybrid, "ulimit -n", limits={"nofile": 50}).out == "50\n"


def test_report_tells_no_memory_where_none_is_counted(hybrid):
    with Service(hybrid, f"{HYBRID}/report.service"):
        end = start(hybrid, "true", report=True)
        assert "max_rss_kb" in end.exited
        assert "memory_peak_bytes" not in end.exited and "oom_kills" not in end.exited


def test_sessions_can_not_take_every_task_of_the_service(unified):
    unified.output(f"mkdir {UNIFIED}/tasks.service; echo 800 >{UNIFIED}/tasks.service/pids.max")
    with Service(unified, f"{UNIFIED}/tasks.service") as service:
        assert service.read("sessions/pids.max") == "700"


def test_older_managers_say_it_by_a_trusted_attribute(unified):
    with Service(unified, f"{UNIFIED}/old.service", "trusted.delegate") as service:
        assert "sessions" in service.cgroups()


def test_a_manager_may_have_put_us_into_the_leaf_itself(unified):
    with Service(unified, f"{UNIFIED}/leaf.service//agent") as service:
        assert service.cgroup_of(service.pid) == "/leaf.service/agent"
        assert "0::/leaf.service/sessions/" in start(unified, "cat /proc/self/cgroup").out


@pytest.mark.parametrize(
    "cgroup,attribute,options",
    [
        ("plain.service", "-", ""),
        ("off.service", "user.delegate", "--cgroup=off"),
        ("plain.service//agent", "-", ""),
        ("upper.service//another", "user.delegate", ""),
    ],
)
def test_no_cgroup_is_touched_that_was_not_delegated(unified, cgroup, attribute, options):
    with Service(unified, f"{UNIFIED}/{cgroup}", attribute, options) as service:
        own = "/" + cgroup.replace("//", "/")
        assert service.cgroup_of(service.pid) == own
        assert start(unified, "sed -n s/^0:://p /proc/self/cgroup").out.strip() == own
        assert service.cgroups() == set(cgroup.split("//")[1:])
        assert service.read("cgroup.subtree_control") == ""
        assert service.log().count("process group") == 1
        end = start(unified, "true", limits={"pids": 5})
        assert end.code == 125 and "pids" in end.err


def test_what_a_killed_predecessor_left_is_killed_and_removed(unified):
    path = f"{UNIFIED}/again.service"
    first = Service(unified, path)
    start(unified, "setsid sleep 4723 & exec sleep 4724", detach=True)
    start(unified, "sleep 4725 >/dev/null 2>&1 & true", report=True)
    unified.output("vmm-guest-ctl exec -- sleep 4726 >/dev/null 2>&1 &")
    state.wait_until(lambda: "sleep 4726" in [command for _, _, command in state.processes(unified).values()])
    left = service_cells(first)
    assert len(left) >= 3
    unified.output(f"kill -9 {first.pid}")
    # In the leaf: with its controllers handed down the one above takes no process.
    with Service(unified, path + "//agent") as second:
        assert not is_running(unified, "4723", "4724", "4725", "4726")
        assert service_cells(second) == set()
        for _ in range(8):
            assert start(unified, "echo alive").out == "alive\n"
        assert "0::/again.service/sessions/" in start(unified, "cat /proc/self/cgroup").out
        end = start(unified, "setsid sleep 4727 & sleep 60", timeout_seconds=1)
        assert end.code == 137 and not is_running(unified, "sleep 4727")


def service_cells(service):
    return {path for path in service.cgroups() if path.startswith("sessions/")}


def test_who_else_is_in_our_cgroup_keeps_the_controllers_from_sessions(unified):
    unified.output(f"delegate user.delegate {UNIFIED}/shared.service sleep 4728 >/dev/null 2>&1 &")
    try:
        with Service(unified, f"{UNIFIED}/shared.service") as service:
            assert "somebody else is in our cgroup" in service.log()
            assert is_running(unified, "sleep 4728")
            end = start(unified, "setsid sleep 4729 & sleep 60", timeout_seconds=1)
            assert end.code == 137 and not is_running(unified, "sleep 4729")
            end = start(unified, "true", limits={"pids": 5})
            assert end.code == 125 and "pids" in end.err
    finally:
        kill_all(unified, "sleep 4728")


# ---- what SHUTDOWN ends ---------------------------------------------------------------


PLANTED = """
rm -rf /planted /ran; mkdir /planted
for name in reboot poweroff halt; do
    printf '%s\\n' '#!/bin/sh' "set -e" "there=\\$(cat /proc/[0-9]*/cmdline | tr '\\\\0' ' ')" \
        "echo $name \\$(echo \\$there | grep -o 'slee[p] 4731' | wc -l) >>/ran" "exit STATUS" >/planted/$name
    chmod 755 /planted/$name
done
"""


class Ending:
    """A service whose guest has planted programs that say what would end it, and end with STATUS."""

    def __init__(self, guest, options, status=0, planted="", path="/planted:$PATH"):
        self.guest = guest
        guest.output(PLANTED.replace("STATUS", str(status)) + planted)
        self.pid = int(guest.output(
            f"PATH={path} /sbin/vmm-guest-agent --peer=any --workers=4 {options} >/log 2>&1 & echo $!"
        ))  # fmt: skip

    def shutdown(self, *options, addr="vsock:1"):
        """The client's status, once it can be served."""
        ctl = f"vmm-guest-ctl -a {addr}"
        self.guest.output(f"{ctl} wait --timeout 60; {ctl} exec -d -- sleep 4731", 90)
        return self.guest.run(f"{ctl} shutdown {' '.join(options)} 2>&1", 90)

    def ran(self):
        return self.guest.run("cat /ran 2>/dev/null").output

    def is_there(self):
        return self.guest.run(f"kill -0 {self.pid}").status == 0

    def wait_end(self):
        state.wait_until(lambda: not self.is_there())

    def end(self):
        self.guest.output(f"kill {self.pid}")
        self.wait_end()


@pytest.mark.parametrize("action", ["reboot", "halt"])
def test_shutdown_has_the_guests_init_end_the_guest_and_the_agent(unified, action):
    ending = Ending(unified, "--on-shutdown=guest")
    done = ending.shutdown(f"--{action}", "--grace", "1")
    assert (done.status, done.output) == (0, "")
    assert ending.ran() == f"{action} 0\n"
    assert ending.is_there(), "who restarts it would do so before init stops that"
    ending.end()


def test_shutdown_that_the_guests_init_refuses_is_told(unified):
    ending = Ending(unified, "--on-shutdown=guest", status=3)
    done = ending.shutdown("--reboot", "--grace", "1")
    assert done.status == 1 and "does not go down" in done.output
    ending.wait_end()
    assert ending.ran() == "reboot 0\n"
    assert "the guest's init does not end it" in unified.output("cat /log")


@pytest.mark.parametrize(
    "options,addr",
    [
        ("--on-shutdown=guest --listen=unix:/agent.sock", "unix:/agent.sock"),
        ("--on-shutdown=agent", "vsock:1"),
        ("", "vsock:1"),
    ],
)
def test_shutdown_ends_the_agent_alone(unified, options, addr):
    ending = Ending(unified, options)
    assert ending.shutdown("--reboot", "--grace", "1", addr=addr).status == 0
    ending.wait_end()
    assert ending.ran() == ""


def test_poweroff_is_asked_of_the_guests_init_but_never_on_a_unix_socket(boot):
    """As a test's host would go down. In a machine that can be powered off, others are rebooted."""
    with boot("test_init=unified", machine="q35") as guest:
        ending = Ending(guest, "--on-shutdown=guest --listen=unix:/agent.sock")
        assert ending.shutdown("--poweroff", "--grace", "1", addr="unix:/agent.sock").status == 0
        ending.wait_end()
        assert ending.ran() == ""
        ending = Ending(guest, "--on-shutdown=guest")
        assert ending.shutdown("--poweroff", "--grace", "1").status == 0
        assert ending.ran() == "poweroff 0\n"


def test_a_signal_ends_the_agent_alone(unified):
    ending = Ending(unified, "--on-shutdown=guest")
    unified.wait_ready()
    ending.end()
    assert ending.ran() == ""


def test_the_guest_ends_by_a_program_that_path_does_not_name(boot):
    with boot("test_init=unified") as guest:
        guest.output("printf '%s\\n' '#!/bin/sh' '/bin/busybox reboot -f' >/sbin/reboot; chmod 755 /sbin/reboot")
        guest.output("PATH=/nowhere /sbin/vmm-guest-agent --peer=any --on-shutdown=guest >/log 2>&1 &")
        guest.wait_ready()
        guest.send("vmm-guest-ctl shutdown --reboot")
        guest.wait_end(60)
        assert "reboot: Restarting system" in guest.console()


def test_programs_of_the_guests_init_are_found_where_path_lacks_their_folder(unified):
    """And so are those that they call."""
    there = "test ! -e /sbin/halt && mkdir -p /usr/sbin && mv /planted/halt /bin/tr /usr/sbin"
    ending = Ending(unified, "--on-shutdown=guest", planted=there, path="/nowhere")
    try:
        done = ending.shutdown("--halt", "--grace", "1")
        assert (done.status, done.output, ending.ran()) == (0, "", "halt 0\n")
        ending.end()
    finally:
        unified.output("mv /usr/sbin/tr /bin && rm /usr/sbin/halt")
