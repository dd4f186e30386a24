# SPDX-License-Identifier: MIT
"""How a guest ends: by the agent's own hand, and never by a panic."""

import base64
import json
import os
import re
import struct
import time

import pytest
import state
from sessions import start
from disks import MODULES, Disk

SHUTDOWN, START = 0x41, 0x01
PEER = "vmm_agent.peer=any vmm_agent.workers=3"


def assert_clean_end(guest, seconds):
    guest.wait_end(seconds)
    console = guest.console()
    assert "reboot: Restarting system" in console
    assert "Kernel panic" not in console


def begin(guest, script):
    """Runs SCRIPT beside those that come later. What ends the guest goes by guest.send(): the
    guest need not live to tell of it."""
    guest.output(f"({script}) >/dev/null 2>&1 &")


@pytest.mark.parametrize("signal", ["TERM", "INT", "PWR"])
def test_signal_to_process_1_ends_the_guest(boot, signal):
    with boot(PEER) as guest:
        guest.wait_ready()
        guest.send(f"kill -{signal} 1")
        assert_clean_end(guest, 60)


@pytest.mark.parametrize(
    ("signal", "end"),
    [
        (37, "reboot: System halted"),
        (38, "reboot: Power down"),
        (39, "reboot: Restarting system"),
        ("USR2", "reboot: Power down"),
    ],
)
def test_signals_of_other_inits_to_process_1_do_what_they_say(boot, signal, end):
    """What the operator says is something else."""
    other = "reboot" if "Power" in end or "halt" in end else "halt"
    with boot(f"{PEER} vmm_agent.on_exit={other}", machine="q35") as guest:
        guest.wait_ready()
        guest.send(f"kill -{signal} 1")
        guest.wait_console(end)


def test_usr1_to_process_1_is_the_log(boot):
    with boot(PEER) as guest:
        guest.wait_ready()
        guest.output("kill -USR1 1")
        guest.wait_console("supervisor: scoreboard: ")
        assert guest.output("vmm-guest-ctl exec -- echo up") == "up"


def test_guest_ends_as_the_operator_says(boot):
    with boot(f"{PEER} vmm_agent.on_exit=halt") as guest:
        guest.wait_ready()
        guest.send("kill -TERM 1")
        guest.wait_console("reboot: System halted")


# Reduced hardware has nothing that every kernel can measure its clock by.
@pytest.mark.parametrize(
    ("machine", "arguments"),
    [("q35", ""), ("microvm,acpi=on,isa-serial=on,ioapic2=off", "tsc_early_khz=2000000 lpj=4000000")],
)
def test_power_off_ends_a_machine_that_can(boot, machine, arguments):
    """One has the registers of a PC, the other the sleep register of reduced hardware."""
    with boot(f"{PEER} {arguments}", machine=machine) as guest:
        guest.wait_ready()
        guest.send("vmm-guest-ctl shutdown --poweroff")
        guest.wait_end(60)
        assert "reboot: Power down" in guest.console()


def test_power_off_of_a_machine_that_can_not_is_a_reboot(boot):
    with boot(PEER) as guest:
        guest.wait_ready()
        guest.send("vmm-guest-ctl shutdown --poweroff")
        assert_clean_end(guest, 60)


def test_a_worker_killed_right_after_it_rang_powers_nothing_off(boot):
    """make check-long does it 1000 times."""
    rounds = int(os.environ.get("VGA_RING_ROUNDS", "40"))
    with boot("vmm_agent.peer=any vmm_agent.workers=256", memory_mib=768) as guest:
        guest.wait_ready()
        start(guest, "exec sleep 600", detach=True)
        (slot,) = [slot for slot in state.status(guest)["slots"] if slot["kind"] == "detached"]
        guest.output(f"kill-ringer {slot['session']} {rounds}", 60 + 10 * rounds)
        assert state.status(guest)["worker_deaths"]["by_signal"] == {"9": rounds}
        assert "shutting down" not in guest.console()
        assert guest.output("vmm-guest-ctl exec -- echo up") == "up"


def test_shutdown_request_reboots_the_guest(boot):
    with boot(PEER) as guest:
        guest.wait_ready()
        payload = json.dumps({"action": "reboot", "grace_seconds": 1}).encode()
        frame = struct.pack("<BI", SHUTDOWN, len(payload)) + payload
        text = "".join(f"\\\\{byte:03o}" for byte in frame)
        guest.send(f"printf {text} | vsock-raw 1 52")
        assert_clean_end(guest, 60)


def test_shutdown_does_not_wait_for_programs_that_ignore_term(boot):
    with boot(PEER) as guest:
        guest.wait_ready()
        begin(guest, "vmm-guest-ctl exec -- sh -c \"trap '' TERM HUP INT; echo >/up; while :; do sleep 1; done\"")
        guest.output("until [ -e /up ]; do sleep 0.1; done")
        guest.send("kill -TERM 1")
        assert_clean_end(guest, 60)


def test_file_systems_are_made_read_only_before_the_end(boot, tmp_path):
    disk = Disk(tmp_path, "disk")
    with boot(PEER, devices=disk.devices, machine="q35", modules=MODULES) as guest:
        guest.wait_ready()
        guest.output("mkdir '/a disk'; mount -t ext4 /dev/vda '/a disk'; echo kept >'/a disk/file'")
        assert disk.needs_recovery()
        # Held open for writing by one who does not go for a TERM.
        guest.output("printf '%s\n' 'trap \"\" TERM HUP' 'exec >\"/a disk/held\"' 'sleep 60' >/hold")
        begin(guest, "vmm-guest-ctl exec -- sh /hold")
        guest.output("until [ -e '/a disk/held' ]; do sleep 0.1; done")
        guest.send("vmm-guest-ctl shutdown --reboot --grace 1")
        assert_clean_end(guest, 60)
    assert not disk.needs_recovery()
    assert disk.read("/file") == b"kept\n"


def test_sync_that_hangs_does_not_keep_the_guest_up(boot, tmp_path):
    disk = Disk(tmp_path, "disk")
    with boot(PEER, devices=disk.devices, machine="q35", modules=MODULES) as guest:
        guest.wait_ready()
        guest.output("mkdir /disk; mount -t ext4 /dev/vda /disk; echo x >/disk/first; sync")
        guest.monitor("block_set_io_throttle disk 1 0 0 0 0 0")
        guest.output("head -c 4000000 /dev/zero >/disk/file")
        begun = time.monotonic()
        guest.send("vmm-guest-ctl shutdown --reboot --grace 1")
        guest.wait_console("sync hangs")
        assert 9 < time.monotonic() - begun
        guest.wait_console("reboot: Restarting system")


def test_session_ends_with_shutdown_as_its_reason(boot):
    with boot(PEER) as guest:
        guest.wait_ready()
        script = "trap 'sleep 0.3; exit 7' TERM; echo up >/up; while :; do sleep 0.1; done"
        payload = json.dumps({"cmd": ["sh", "-c", script], "report": True}).encode()
        sent = base64.b64encode(struct.pack("<BI", START, len(payload)) + payload).decode()
        # The client is a process of the guest too: it lives on until the grace is over.
        begin(guest, f"trap '' TERM; (echo {sent} | base64 -d; sleep 9) | vsock-raw 1 52 >/dev/ttyS0")
        guest.output("until [ -e /up ]; do sleep 0.1; done")
        guest.send("vmm-guest-ctl shutdown --reboot --grace 3")
        assert_clean_end(guest, 60)
        (event,) = re.findall(r'\{"event": ?"exited".*?\}', guest.console())
        assert json.loads(event)["reason"] == "shutdown"
        assert json.loads(event)["code"] == 7
