# SPDX-License-Identifier: MIT
"""A whole machine: a network card, a keyboard, and ACPI, so that the guest can
really power off."""

import json
import socket
import struct
import urllib.request

import pytest
import state

NET_RECONFIG, EXIT = 0x06, 0x12
PEER = "vmm_agent.peer=any vmm_agent.workers=3"
PAGE = "served from the new address"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def machine(boot):
    """Starts a q35 with a card behind which a host port leads to 10.0.2.77:8080."""
    port = free_port()
    devices = (
        "-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:{port}-10.0.2.77:8080",
        "-device", "virtio-net-pci,netdev=net",
        "-device", "virtio-keyboard-pci",
    )  # fmt: skip
    with boot(PEER, machine="q35", devices=devices, modules=("virtio_input",)) as guest:
        guest.wait_ready()
        guest.port = port
        yield guest


def assert_power_off(guest, seconds=60):
    guest.wait_end(seconds)
    assert "reboot: Power down" in guest.console()
    assert "Kernel panic" not in guest.console()


def test_net_reconfig_moves_the_guest_to_an_address_where_it_is_reached(machine):
    request = {"ip": "10.0.2.77", "netmask": "255.255.255.0", "gateway": "10.0.2.2"}
    (reply,) = machine.frames(52, (NET_RECONFIG, json.dumps(request).encode()))
    assert reply[0] == EXIT and len(reply[1]) == 32
    assert struct.unpack_from("<ii", reply[1]) == (0, 0)
    assert "inet 10.0.2.77/24" in machine.output("ip -4 addr show eth0")
    assert "default via 10.0.2.2 dev eth0" in machine.output("ip route")
    assert "nameserver 10.0.2.2" in machine.output("cat /etc/resolv.conf").splitlines()
    machine.output(f"mkdir -p /www && echo {PAGE} >/www/page")
    machine.output("vmm-guest-ctl exec -- httpd -p 8080 -h /www")
    with urllib.request.urlopen(f"http://127.0.0.1:{machine.port}/page", timeout=20) as page:
        assert page.read().decode().strip() == PAGE


def test_ctrl_alt_del_ends_the_guest_cleanly(machine):
    machine.monitor("sendkey ctrl-alt-delete")
    assert_power_off(machine)


def test_term_powers_off_where_the_machine_says_qemu(machine):
    assert state.status(machine)["pid"] == 1
    machine.send("kill -TERM 1")
    assert_power_off(machine)


@pytest.mark.parametrize("when", ["early", "late"])
def test_power_button_ends_the_guest_cleanly(boot, when):
    modules = ("evdev", "button")
    with boot(f"{PEER} test_modules={when}", machine="q35", modules=modules) as guest:
        guest.wait_ready()
        guest.output("until ls -l /proc/1/fd | grep -q /dev/input/event; do sleep 0.1; done")
        guest.monitor("system_powerdown")
        guest.wait_console("the power key was pressed")
        assert_power_off(guest)
