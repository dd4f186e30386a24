# SPDX-License-Identifier: MIT
"""The clock that a host lends its guests, by a device of the kernel's: a network card
that has a clock of its own, under the name of KVM's, which only KVM can give.

QEMU's card does not count on by itself: its time is what it was last set to.
"""

import re
import struct

import pytest

CLOCK_SYNC, EXIT = 0x05, 0x12
DAY = 24 * 3600
PEER = "vmm_agent.peer=any vmm_agent.workers=3"
CARD = ("-netdev", "user,id=net", "-device", "e1000e,netdev=net")
STEPPED = r"the clock was stepped by (-?\d+) ms, to the host's"


def machine(boot, arguments):
    return boot(
        f"{PEER} {arguments}", machine="q35", devices=CARD, modules=("e1000e",), kernel="generic"
    )


@pytest.fixture(scope="module")
def lent(boot):
    """A guest whose clock is 3 days behind its host's as the agent starts."""
    with machine(boot, f"test_ptp={3 * DAY}") as guest:
        guest.wait_console("ready: 3 workers")
        yield guest


def steps(guest):
    """By how many ms the clock was stepped, each time."""
    return [int(ms) for ms in re.findall(STEPPED, guest.console())]


def connect(guest, ahead):
    """The host's clock is AHEAD seconds of the guest's, then a connection comes.
    Returns its time, the guest's inside of the session, and the steps in between."""
    before = len(steps(guest))
    host, session = guest.output(f"ptp-clock {ahead}; vmm-guest-ctl exec -- date +%s").split()
    guest.output("vmm-guest-ctl status >/dev/null")
    return float(host), int(session), steps(guest)[before:]


def say_time(guest, seconds, nanoseconds=0):
    (reply,) = guest.frames(52, (CLOCK_SYNC, struct.pack("<qI", seconds, nanoseconds)))
    assert reply == (EXIT, struct.pack("<ii", 0, 0))


def test_a_clock_of_another_make_is_nobodys_word(boot):
    with machine(boot, "") as guest:
        guest.wait_ready()
        before = int(guest.output("date +%s"))
        assert float(guest.output(f"ptp-clock {3 * DAY}")) > before + 2 * DAY
        assert 0 <= int(guest.output("vmm-guest-ctl exec -- date +%s")) - before < 60
        assert not steps(guest)


def test_clock_is_stepped_at_start(lent):
    (ms,) = steps(lent)[:1]
    assert 3 * DAY - 60 < ms / 1000 <= 3 * DAY
    assert int(lent.output("date +%s")) >= int(lent.output("cat /date")) + 3 * DAY


@pytest.mark.parametrize("ahead", [3 * DAY, -3 * DAY, 1.5, -0.9])
def test_clock_is_stepped_when_a_connection_comes_and_before_it_is_served(lent, ahead):
    host, session, stepped = connect(lent, ahead)
    assert int(host) <= session <= host + 30
    assert len(stepped) >= 1 and abs(stepped[0] / 1000 - ahead) < 30


def test_clock_that_is_nearly_right_is_not_stepped(lent):
    """So much behind, that the time until the connection comes makes it less."""
    def is_left_alone():
        before = len(steps(lent))
        lent.output("ptp-clock 0.095 >/dev/null; vsock-raw 1 53 </dev/null >/dev/null & sleep 0.5")
        return len(steps(lent)) == before

    # On a busy machine so much time may pass that it makes it more: of a few one counts.
    assert any(is_left_alone() for _ in range(20))


def test_host_that_says_what_its_clock_says_leaves_ptp_in_charge(lent):
    seconds, nanoseconds = map(int, lent.output("ptp-clock 1000").split("."))
    say_time(lent, seconds, nanoseconds)
    host, session, stepped = connect(lent, DAY)
    assert len(stepped) >= 1 and abs(session - host) < 30


def test_host_that_means_another_time_is_obeyed_and_ptp_steps_no_more(lent):
    """Of these tests the last."""
    meant = int(lent.output("date +%s")) - 30 * DAY
    say_time(lent, meant)
    for ahead in (DAY, -DAY, 1):
        _, session, stepped = connect(lent, ahead)
        assert 0 <= session - meant < 60 and not stepped
