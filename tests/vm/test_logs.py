# SPDX-License-Identifier: MIT
"""What a guest's agent says, where, and how much of it."""

import re
import time

import state

PEER = "vmm_agent.peer=any vmm_agent.workers=4"
STEPS = (
    "mounts", "links", "console", "proc", "ctrl-alt-del", "oom score", "loopback", "address",
    "hostname", "hosts", "dns", "cgroups", "sysctl",
)  # fmt: skip


def boot_lines(text):
    """The steps that TEXT tells of, in order; /dev/kmsg shows no more than ASCII."""
    return re.findall(r"vmm-guest-agent: boot: ([a-z -]+): \d+ (?:µs|\\xc2\\xb5s)", text)


def test_a_line_a_step_at_debug_and_none_below(boot, guest):
    with boot(f"{PEER} vmm_agent.log=debug") as chatty:
        chatty.wait_ready()
        assert boot_lines(chatty.console()) == list(STEPS)
        assert chatty.wait_console(r"boot: dns: \d+ µs(.|\n)*ready: 4 workers")
    assert not boot_lines(guest.console())


def test_status_tells_how_long_the_boot_took(guest):
    boot_ms = state.status(guest)["boot_ms"]
    said = float(guest.wait_console(r"ready: .* after ([\d.]+) ms").group(1))
    assert 0 < boot_ms and abs(boot_ms - said) < 0.2


def test_kernels_log_gets_every_line_with_its_priority_and_the_console_but_errors(boot):
    """Its facility is a user's: 8 is added."""
    with boot(f"{PEER} vmm_agent.log=debug vmm_agent.log_to=kmsg") as guest:
        guest.wait_ready()
        log = guest.output(
            "echo the-end >/dev/kmsg; cat /dev/kmsg >/log & until grep -q the-end /log; do sleep 0.1; done; kill $!; cat /log")
        assert boot_lines(log) == list(STEPS)
        assert re.search(r"^15,\d+,\d+,.*boot: mounts", log, re.MULTILINE)
        assert re.search(r"^14,\d+,\d+,.*supervisor: ready: 4 workers", log, re.MULTILINE)
        assert re.search(r"^11,\d+,\d+,.*can't tell vsock:2:51 yet", log, re.MULTILINE)
        told = [line for line in guest.console().splitlines() if "vmm-guest-agent" in line]
        assert told and all("can't tell" in line for line in told)


def test_errors_alone_are_told_where_no_more_is_asked_for(boot):
    with boot(f"{PEER} vmm_agent.log=error vmm_agent.ready_port=0") as guest:
        guest.wait_ready()
        guest.output("kill -HUP 1; kill -USR1 1; vmm-guest-ctl exec -- true")
        assert "vmm-guest-agent" not in guest.console()
        guest.output(f"kill -9 {min(state.workers(guest))}")
        guest.wait_console(r"worker \d+ \(pid \d+\) died: signal 9")


def seconds_of(guest, script):
    """How long SCRIPT took."""
    begun = time.monotonic()
    guest.output(script, seconds=300)
    return time.monotonic() - begun


def count(guest, words):
    return guest.console().count(words)


def test_what_a_guests_program_can_provoke_is_limited(boot):
    with boot("vmm_agent.workers=4") as guest:
        guest.wait_console("ready: 4 workers")
        seconds = seconds_of(guest, "for i in $(seq 300); do vsock-raw 1 52 </dev/null; done")
        refused = count(guest, "not the host")
        assert 1 <= refused <= 4 * 2 * (seconds / 10 + 2), "two in ten seconds a worker"
        seconds = seconds_of(guest, "for i in $(seq 300); do kill -HUP 1; kill -USR1 1; done")
        # One in 200 ms.
        assert count(guest, "replacing all workers") <= 5 * seconds + 25
        assert count(guest, "scoreboard:") <= 5 * seconds + 25
        seconds = seconds_of(
            guest, "for i in $(seq 30); do kill -9 $(pidof vmm-guest-agent | tr ' ' '\\n' | grep -vx 1); sleep 0.1; done; true")
        assert count(guest, "died: signal 9") <= 4 * (7 + seconds / 5), "each slot's successor comes later and later"
