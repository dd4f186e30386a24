# SPDX-License-Identifier: MIT
"""Sessions in a guest whose PID 1 is the agent, over real AF_VSOCK."""

import struct

import pytest
import state
from sessions import kill_all

CLOCK_SYNC, EXIT = 0x05, 0x12
DAY = 24 * 3600


def set_clock(guest, seconds):
    (reply,) = guest.frames(52, (CLOCK_SYNC, struct.pack("<qI", seconds, 0)))
    assert reply == (EXIT, struct.pack("<ii", 0, 0))


def zombies(guest):
    return [pid for pid, (_, kind, _) in state.processes(guest).items() if kind == "Z"]


def test_output_that_nobody_waited_for_is_not_the_next_scripts(guest):
    guest.send("echo early")
    assert guest.output("echo late") == "late"


def test_exec_gives_the_programs_output(guest):
    assert guest.output("vmm-guest-ctl exec -- uname -r") == guest.output("uname -r")


@pytest.mark.parametrize("code", [0, 1, 7, 124, 255])
def test_exec_ends_with_the_programs_exit_code(guest, code):
    assert guest.run(f"vmm-guest-ctl exec -- sh -c 'exit {code}'").status == code


def test_death_by_signal_is_128_and_the_signal(guest):
    assert guest.run("vmm-guest-ctl exec -- sh -c 'kill -9 $$'").status == 137


def test_program_that_is_not_there_is_127_and_said_so(guest):
    result = guest.run("vmm-guest-ctl exec -- no-such-program")
    assert result.status == 127
    assert "no-such-program" in result.output


def test_standard_error_is_kept_apart_from_standard_output(guest):
    script = "vmm-guest-ctl exec -- sh -c 'echo out; echo err >&2'"
    assert guest.output(f"{script} 2>/dev/null") == "out"
    assert guest.output(f"{script} 2>&1 >/dev/null") == "err"


def test_standard_input_reaches_the_program(guest):
    assert guest.output("seq 100000 | vmm-guest-ctl exec -i -- tail -n 1") == "100000"


def test_session_has_a_terminal_of_its_own_with_tty(guest):
    seen = guest.output("vmm-guest-ctl exec -t -- sh -c 'tty; echo $TERM'").split()
    assert seen[0].startswith("/dev/pts/")
    assert seen[1] == "xterm-256color"


def test_terminal_size_is_the_clients(guest):
    # The outer session gives the inner client a terminal; its input stays open.
    inner = "stty rows 33 cols 111; vmm-guest-ctl exec -t -- stty size"
    outer = f"vmm-guest-ctl exec -i -t -e VMM_GUEST_ADDR=vsock:1 -- sh -c '{inner}'"
    assert guest.output(f"sleep 2 | {outer}").split() == ["33", "111"]


def test_session_starts_with_its_own_environment_and_not_the_kernels(guest):
    lines = guest.output("vmm-guest-ctl exec -- env").splitlines()
    assert {line.split("=")[0] for line in lines} == {"PATH", "HOME", "LANG"}


def test_session_is_given_three_descriptors_and_no_other(guest):
    assert guest.output("vmm-guest-ctl exec -- ls /proc/self/fd").split() == ["0", "1", "2", "3"]


def test_session_as_another_user_has_that_users_ids_and_groups(guest):
    script = "vmm-guest-ctl exec -u guest -- sh -c 'id -u; id -g; id -G'"
    uid, gid, groups = guest.output(script).splitlines()
    assert (uid, gid) == ("1000", "1000")
    assert set(groups.split()) == {"1000", "200"}


def test_session_as_another_user_has_that_users_home_and_rights(guest):
    assert guest.output("vmm-guest-ctl exec -u guest -- sh -c 'echo $HOME $USER'") == (
        "/home/guest guest"
    )
    assert guest.run("vmm-guest-ctl exec -u guest -- ls /root").status != 0


def test_another_users_session_can_open_its_own_output(guest):
    script = "vmm-guest-ctl exec -u guest -- sh -c 'echo opened >/dev/stdout'"
    assert guest.output(script) == "opened"


def test_program_may_be_killed_for_memory_before_the_agent(guest):
    assert guest.output("vmm-guest-ctl exec -- cat /proc/self/oom_score_adj") == "0"


def test_file_comes_back_with_the_hash_it_went_in_with(guest):
    guest.output("head -c 8388608 /dev/urandom >/sent")
    guest.output("vmm-guest-ctl cp /sent vm:/kept", seconds=60)
    guest.output("vmm-guest-ctl cp vm:/kept /back", seconds=60)
    sums = {line.split()[0] for line in guest.output("sha256sum /sent /kept /back").splitlines()}
    guest.output("rm /sent /kept /back")
    assert len(sums) == 1


def test_file_goes_in_from_standard_input_and_out_to_standard_output(guest):
    guest.output("echo content | vmm-guest-ctl cp - vm:/piped")
    assert guest.output("vmm-guest-ctl cp vm:/piped -; rm /piped") == "content"


def test_clock_sync_steps_the_guests_clock_by_days_and_back(guest):
    before = int(guest.output("date +%s"))
    set_clock(guest, before + 3 * DAY)
    later = int(guest.output("date +%s"))
    set_clock(guest, before)
    back = int(guest.output("date +%s"))
    assert 3 * DAY <= later - before < 3 * DAY + 60
    assert -1 <= back - before < 60


def test_full_pool_still_syncs_the_clock(guest):
    """All three exec places are in use; 100 ms are for a machine that is not emulated."""
    guest.output("for i in 1 2 3; do vmm-guest-ctl exec -- sleep 4732 >/dev/null 2>&1 & done")
    state.wait_until(lambda: state.status(guest)["workers"]["exec"] == 3)
    refused = guest.run("vmm-guest-ctl exec -- true")
    assert refused.status == 125 and "busy: 3 of 3" in refused.output
    before = int(guest.output("date +%s"))
    set_clock(guest, before + 3 * DAY)
    assert 3 * DAY <= int(guest.output("date +%s")) - before < 3 * DAY + 60
    set_clock(guest, before)
    guest.output("echo kept >/kept; vmm-guest-ctl cp vm:/kept - && rm /kept")
    kill_all(guest, "sleep 4732")
    state.wait_until(lambda: state.status(guest)["workers"]["exec"] == 0)


def test_clock_sync_does_not_disturb_a_running_timeout(guest):
    now = int(guest.output("date +%s"))
    guest.output("(vmm-guest-ctl exec --timeout 2 -- sleep 60; echo $? >/ended) >/dev/null 2>&1 &")
    set_clock(guest, now + 30 * DAY)
    state.wait_until(lambda: guest.run("test -s /ended").status == 0)
    set_clock(guest, now)
    assert guest.output("cat /ended; rm /ended") == "137"


def test_orphans_of_a_session_are_reaped(guest):
    orphans = "i=0; while [ $i -lt 200 ]; do (true & (sleep 0.2 &)); i=$((i + 1)); done"
    guest.output(f"vmm-guest-ctl exec -- sh -c '{orphans}'", seconds=60)
    state.wait_until(lambda: not zombies(guest))


def test_session_can_not_kill_process_1(guest):
    guest.output("vmm-guest-ctl exec -- kill -9 1")
    guest.output("vmm-guest-ctl exec -- kill -SEGV 1")
    assert guest.output("vmm-guest-ctl exec -- echo alive") == "alive"


@pytest.mark.parametrize("signal", ["KILL", "TERM", "SEGV", "ABRT"])
def test_worker_that_dies_is_replaced(guest, signal):
    before = set(state.workers(guest))
    victim = min(before)
    guest.output(f"kill -{signal} {victim}")
    state.wait_until(
        lambda: len(after := set(state.workers(guest))) == 5 and victim not in after
    )
    assert before - set(state.workers(guest)) == {victim}


def test_killing_every_worker_at_once_leaves_an_agent_that_serves(guest):
    before = set(state.workers(guest))
    guest.output("kill -9 " + " ".join(map(str, before)))
    assert guest.output("vmm-guest-ctl exec -- echo served") == "served"
    state.wait_until(lambda: len(state.workers(guest)) == 5)
    assert not before & set(state.workers(guest))


def test_client_of_a_killed_worker_is_told_and_others_go_on(guest):
    guest.output(
        "for i in 1 2; do"
        " (vmm-guest-ctl exec -- sleep 300 >/said$i 2>&1; echo $? >/ended$i) >/dev/null & done"
    )
    busy = state.wait_until(
        lambda: len(b := [p for p, t in state.workers(guest).items() if "exec" in t]) == 2 and b
    )
    guest.output(f"kill -9 {busy[0]}")
    state.wait_until(lambda: guest.run("cat /ended1 /ended2 2>/dev/null | grep -q .").status == 0)
    assert guest.run("cat /ended1 /ended2 2>/dev/null").output == "125\n"
    guest.output(f"kill -9 {busy[1]}")
    state.wait_until(lambda: guest.run("test -s /ended1 && test -s /ended2").status == 0)
    guest.output("rm -f /said1 /said2 /ended1 /ended2")


def test_program_of_a_killed_worker_dies_with_it(guest):
    guest.output("vmm-guest-ctl exec -- sleep 4321 >/dev/null 2>&1 &")

    def sleeping():
        return any("sleep 4321" == t for _, _, t in state.processes(guest).values())

    state.wait_until(sleeping)
    (busy,) = [p for p, t in state.workers(guest).items() if "exec" in t]
    guest.output(f"kill -9 {busy}")
    state.wait_until(lambda: not sleeping())


def test_deaths_of_workers_are_counted_in_the_status(guest):
    before = state.status(guest)["worker_deaths"]["total"]
    guest.output(f"kill -9 {min(state.workers(guest))}")
    state.wait_until(lambda: state.status(guest)["worker_deaths"]["total"] == before + 1)


def test_hup_replaces_every_worker_and_refuses_nobody(guest):
    before = set(state.workers(guest))
    guest.output("kill -HUP 1; for i in $(seq 20); do vmm-guest-ctl exec -- true || exit 1; done")
    state.wait_until(lambda: not before & set(state.workers(guest)))
    state.wait_until(lambda: len(state.workers(guest)) == 5)


def test_usr1_logs_the_scoreboard_and_what_each_busy_worker_does(guest):
    guest.output("vmm-guest-ctl exec -- sleep 300 >/dev/null 2>&1 &")
    (busy,) = state.wait_until(lambda: [p for p, t in state.workers(guest).items() if "exec" in t])
    guest.output("kill -USR1 1")
    guest.wait_console(r"supervisor: .*scoreboard: 5 workers, 4 idle")
    guest.wait_console(rf"supervisor: .*pid {busy}, exec")
    guest.output(f"kill -9 {busy}")


@pytest.mark.parametrize("signal", ["PIPE", "ALRM", "CHLD", "CONT", "WINCH", "QUIT"])
def test_process_1_survives_signal(guest, signal):
    guest.output(f"kill -{signal} 1")
    assert guest.output("vmm-guest-ctl exec -- echo alive") == "alive"


def test_no_zombie_is_left_after_all_that(guest):
    state.wait_until(lambda: not zombies(guest))
