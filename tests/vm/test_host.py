# SPDX-License-Identifier: MIT
"""A host at the other end of a real vsock device: the peer is CID 2, nothing of it is
a process of the guest, and it sees how the guest ends."""

import time

import codec
import pytest
import state

DRIVER = "/sys/bus/virtio/drivers/vmw_vsock_virtio_transport"


@pytest.fixture
def hosted(start_hosted):
    started = start_hosted(listen=[51])
    assert started.listeners[0].hear(60) == b"R"
    return started


# ---- readiness ----------------------------------------------------------------


def test_host_is_told_by_one_byte_once_both_ports_are_served(start_hosted):
    hosted = start_hosted(listen=[51])
    assert len(hosted.listeners[0].hear(60)) == 1
    assert hosted.ctl("exec", "--", "echo", "served").stdout == "served\n"
    assert "root:x" in hosted.ctl("cp", "vm:/etc/passwd", "-").stdout
    hosted.listeners[0].hears_nothing()


def test_host_where_nobody_listens_is_served_all_the_same(start_hosted):
    hosted = start_hosted("vmm_agent.workers=4 vmm_agent.log=debug")
    hosted.guest.wait_console("R to vsock:2:51: Connection reset by peer")
    assert hosted.ctl("exec", "--", "echo", "served").stdout == "served\n"


def test_host_is_told_though_the_transport_comes_after_the_agent_has_begun_to_listen(start_hosted):
    arguments = "vmm_agent.workers=4 vmm_agent.notify=vsock:2:7000 test_modules=split"
    hosted = start_hosted(arguments, listen=[51, 7000])
    # The listeners stand: the address family is enough for them.
    hosted.guest.wait_console("ready: 4 workers")
    assert "virtio_transport" not in hosted.guest.output("lsmod")
    assert hosted.listeners[0].hear(60) == b"R"
    assert hosted.listeners[1].hear(60) == b"READY=1"
    assert hosted.ctl("exec", "--", "echo", "served").stdout == "served\n"
    assert hosted.guest.console().count("can't tell vsock:2:") == 1
    assert "can't listen" not in hosted.guest.console()


# ---- a crowd ------------------------------------------------------------------------


def test_hosts_that_say_nothing_delay_nobody_and_are_let_go_of_when_they_are_reset(start_hosted):
    hosted = start_hosted("vmm_agent.workers=4 vmm_agent.first_frame_timeout=3600", listen=[51])
    assert hosted.listeners[0].hear(60) == b"R"

    def descriptors():
        return int(hosted.guest.output("ls /proc/1/fd | wc -l"))

    # The connection by which the host was told may be closed a little later.
    before = descriptors()
    silent = [hosted.dial(port) for port in [52, 53] * 100]
    state.wait_until(lambda: descriptors() >= before + 190)
    assert hosted.ctl("status").returncode == 0
    assert hosted.ctl("exec", "--", "echo", "served").stdout == "served\n"
    assert not any(conn.wait_readable(0) for conn in silent)
    silent[0].send(codec.START, {"cmd": ["echo", "late"]})
    assert silent[0].result().stdout == b"late\n"
    silent[1].send(codec.FILE_STAT_REQ, {"path": "/"})
    assert [frame.type for frame in silent[1].result().frames] == [codec.FILE_STAT]
    reset_transport(hosted)
    state.wait_until(lambda: descriptors() <= before)
    assert hosted.ctl("exec", "--", "echo", "served").stdout == "served\n"


# ---- a connection that a restore has reset ---------------------------------------


def reset_transport(hosted):
    """What the kernel does for each connection of a device that says it was restored
    (VIRTIO_VSOCK_EVENT_TRANSPORT_RESET), and for each of one that goes."""
    guest = hosted.guest
    device = guest.output(f"cd {DRIVER} && ls -d virtio*")
    guest.output(f"echo {device} >{DRIVER}/unbind")
    guest.output(f"echo {device} >{DRIVER}/bind")
    # QEMU waits for no answer of ours when it tells us of the queues.
    state.wait_until(hosted.host.is_up)


def test_sessions_whose_connections_were_reset_end_and_free_their_workers_at_once(hosted):
    # TERM is not what a host's going sends.
    script = "trap 'echo hup >/hup; exit' HUP; echo up; while :; do sleep 0.1; done"
    conns = [hosted.start(script), hosted.start("trap '' HUP TERM; echo up; sleep 600 & wait; sleep 600")]
    for conn in conns:
        conn.read_output(b"up\n")
    waiting = hosted.dial()
    waiting.send(codec.WAIT_PORT, {"port": 9, "timeout_ms": 600000})
    watching = hosted.dial(53)
    watching.send(codec.FILE_WATCH_REQ, {"path": "/tmp", "recursive": False})
    watching.expect(codec.FILE_ACK)
    reset_transport(hosted)
    hosted.wait_idle()
    hosted.guest.wait_console("session 1: the connection was reset: Connection reset by peer")
    assert hosted.guest.output("cat /hup") == "hup"
    assert hosted.guest.run("ps | grep -v grep | grep -q 'sleep 600'").status == 1
    status = hosted.status()
    assert status["worker_deaths"]["total"] == 0
    state.wait_until(lambda: not [s for s in hosted.status()["slots"] if s["kind"] != "status"])


def test_detached_programs_outlive_the_reset(hosted):
    conn = hosted.start("sleep 601", detach=True)
    assert conn.result().code == 0
    reset_transport(hosted)
    assert hosted.ctl("exec", "--", "echo", "served").stdout == "served\n"
    (slot,) = [slot for slot in hosted.status()["slots"] if slot["kind"] == "detached"]
    assert "sleep 601" in slot["command"]


def test_idle_guest_serves_after_the_reset_as_before(hosted):
    state.wait_until(lambda: len(state.workers(hosted.guest)) == 8)
    before = set(state.workers(hosted.guest))
    for _ in range(3):
        reset_transport(hosted)
        assert hosted.ctl("restored").returncode == 0
        assert hosted.ctl("exec", "-i", "--", "cat", input="x" * 100000).stdout == "x" * 100000
    assert set(state.workers(hosted.guest)) == before


# ---- what a guest is busy with ----------------------------------------------------


def milliseconds(times, ask):
    """How long each of so many took, the shortest first."""
    took = []
    for _ in range(times):
        begun = time.monotonic()
        ask()
        took.append((time.monotonic() - begun) * 1000)
    return sorted(took)


def test_status_answers_while_a_fork_bomb_is_at_its_limit(hosted):
    """Nearly as soon as beside a program that takes all it gets of the guest."""
    def ask():
        status = hosted.dial()
        status.send(codec.STATUS_REQ)
        assert status.until_exit().code == 0
        status.close()

    busy = hosted.start("echo up; while :; do :; done")
    busy.read_output(b"up\n")
    before = milliseconds(30, ask)
    busy.close()
    hosted.wait_idle()
    conn = hosted.start("bomb() { bomb | bomb & }; bomb; sleep 60", limits={"pids": 50}, timeout_seconds=15)
    full = "test $(cat /sys/fs/cgroup/sessions/*/pids.current | sort -n | tail -n 1) -ge 49"
    state.wait_until(lambda: hosted.guest.run(full).status == 0)
    took = milliseconds(30, ask)
    # A busy machine may hold one of them up; a guest that is in want of it all.
    assert took[15] < 10 * before[15] + 100 and took[26] < 10 * before[26] + 100, (before, took)
    assert conn.result().code == 137


# ---- the end ----------------------------------------------------------------------


ENDS = {"reboot": "reboot: Restarting system", "poweroff": "reboot: Power down"}


@pytest.mark.parametrize("action", ENDS)
def test_shutdown_ends_sessions_answers_and_then_the_guest_ends(hosted, action):
    script = "trap 'echo term; sleep 0.2; exit 7' TERM; echo up; while :; do sleep 0.05; done"
    conn = hosted.start(script, report=True)
    conn.read_output(b"up\n")
    ignoring = hosted.start("trap '' TERM HUP; echo up; while :; do sleep 0.05; done", report=True)
    ignoring.read_output(b"up\n")
    done = hosted.ctl("shutdown", f"--{action}", "--grace", "5")
    assert (done.returncode, done.stderr) == (0, "")
    result, killed = conn.result(), ignoring.result()
    assert (result.code, result.stdout) == (7, b"up\nterm\n")
    assert result.event("exited")["reason"] == "shutdown"
    assert (killed.code, killed.signal) == (137, 9)
    assert killed.event("exited")["reason"] == "shutdown"
    hosted.guest.wait_end(60)
    assert ENDS[action] in hosted.guest.console()
    assert "Kernel panic" not in hosted.guest.console()


def test_shutdown_tells_watches_and_waits_too_and_does_not_wait_for_them(hosted):
    watch = hosted.dial(53)
    watch.send(codec.FILE_WATCH_REQ, {"path": "/tmp", "recursive": False})
    watch.expect(codec.FILE_ACK)
    wait = hosted.dial()
    wait.send(codec.WAIT_PORT, {"port": 9, "timeout_ms": 600000})
    state.wait_until(lambda: any("wait" in slot["kind"] for slot in hosted.status()["slots"]))
    begun = time.monotonic()
    assert hosted.ctl("shutdown", "--grace", "600").returncode == 0
    assert time.monotonic() - begun < 60
    assert watch.expect(codec.FILE_ERR).payload.startswith(b"ECANCELED: ")
    assert codec.exit_status(wait.expect(codec.EXIT).payload)[0] == -1
    hosted.guest.wait_end(60)


def end_by_shutdown(hosted, grace_seconds):
    conn = hosted.dial()
    conn.send(codec.SHUTDOWN, {"action": "reboot", "grace_seconds": grace_seconds})
    return conn


def test_fork_bomb_that_ignores_term_does_not_keep_the_guest_up(hosted):
    """Its words are more than a socket holds that nobody reads: its host reads them, and
    gets its EXIT."""
    bomb = "trap '' TERM HUP; bomb() { bomb | bomb & }; bomb; sleep 60"
    conn = hosted.start(bomb, limits={"pids": 200})
    conn.read_output(b"can't fork", kinds=[codec.STDERR])
    ending = end_by_shutdown(hosted, 1)
    assert conn.result().exit is not None
    assert ending.result().code == 0
    hosted.guest.wait_end(60)
    assert "Kernel panic" not in hosted.guest.console()


def test_host_that_takes_nothing_gets_no_exit_and_does_not_keep_the_guest_up(hosted):
    conn = hosted.start("trap '' TERM HUP; exec yes")
    state.wait_until(lambda: conn.wait_readable(0))
    ending = end_by_shutdown(hosted, 0)
    assert ending.result().code == 0
    hosted.guest.wait_end(60)
    assert conn.result().exit is None
    assert "Kernel panic" not in hosted.guest.console()


def test_last_frames_have_left_the_guest_before_the_machine_ends(hosted):
    """The host's monitor is busy meanwhile, and after it nobody is asked to wait for."""
    conn = hosted.start("trap 'exit 7' TERM; echo up; while :; do sleep 0.05; done")
    conn.send(codec.EOF)
    conn.read_output(b"up\n")
    hosted.host.hold(0.5)
    hosted.guest.send("kill -TERM 1")
    assert conn.result().code == 7
    hosted.guest.wait_end(60)


def test_halt_answers_and_stops_the_guest(hosted):
    assert hosted.ctl("shutdown", "--halt").returncode == 0
    hosted.guest.wait_console("reboot: System halted")


def test_host_that_does_not_close_does_not_keep_the_guest_up(hosted):
    conn = hosted.dial()
    conn.send(codec.SHUTDOWN, {"action": "reboot", "grace_seconds": 0})
    assert conn.until_exit().code == 0
    hosted.guest.wait_end(60)


def test_of_two_shutdowns_one_is_answered_at_least_and_the_guest_ends(hosted):
    """Both, if both were read by then: tests/conformance/test_h3_requests.py."""
    conns = [hosted.dial(), hosted.dial()]
    for conn in conns:
        conn.send(codec.SHUTDOWN, {"action": "reboot", "grace_seconds": 1})
    codes = [conn.result().code for conn in conns]
    assert 0 in codes and set(codes) <= {0, None}, codes
    hosted.guest.wait_end(60)


def test_connection_that_comes_during_the_end_is_not_served(hosted):
    holding = hosted.start("trap '' TERM HUP; echo up; while :; do sleep 0.05; done")
    holding.read_output(b"up\n")
    ending = hosted.dial()
    ending.send(codec.SHUTDOWN, {"action": "reboot", "grace_seconds": 8})
    hosted.guest.wait_console("shutting down")
    late = hosted.start("echo served")
    assert ending.result().code == 0
    assert late.result().frames == []
    hosted.guest.wait_end(60)
