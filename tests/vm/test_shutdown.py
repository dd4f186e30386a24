"""How a guest ends: by the agent's own hand, and never by a panic."""

import json
import struct

SHUTDOWN, START = 0x41, 0x01
PEER = "vmm_agent.peer=any vmm_agent.workers=3"


def assert_clean_end(guest, seconds):
    guest.wait_end(seconds)
    console = guest.console()
    assert "reboot: Restarting system" in console
    assert "Kernel panic" not in console


def send(guest, script):
    """Runs a SCRIPT whose end the guest does not live to tell."""
    guest.output(f"({script}) >/dev/null 2>&1 &")


def test_term_to_process_1_reboots_the_guest(boot):
    with boot(PEER) as guest:
        guest.wait_ready()
        send(guest, "sleep 0.2; kill -TERM 1")
        assert_clean_end(guest, 15)


def test_int_to_process_1_reboots_the_guest(boot):
    with boot(PEER) as guest:
        guest.wait_ready()
        send(guest, "sleep 0.2; kill -INT 1")
        assert_clean_end(guest, 15)


def test_shutdown_request_reboots_the_guest(boot):
    with boot(PEER) as guest:
        guest.wait_ready()
        payload = json.dumps({"action": "reboot", "grace_seconds": 1}).encode()
        frame = struct.pack("<BI", SHUTDOWN, len(payload)) + payload
        text = "".join(f"\\\\{byte:03o}" for byte in frame)
        send(guest, f"sleep 0.2; printf {text} | vsock-raw 1 52")
        assert_clean_end(guest, 12)


def test_shutdown_does_not_wait_for_programs_that_ignore_term(boot):
    with boot(PEER) as guest:
        guest.wait_ready()
        send(guest, "vmm-guest-ctl exec -- sh -c \"trap '' TERM HUP INT; while :; do sleep 1; done\"")
        send(guest, "sleep 1; kill -TERM 1")
        assert_clean_end(guest, 25)
