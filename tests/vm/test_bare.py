# SPDX-License-Identifier: MIT
"""Guests that hold nothing but the static agent, and have even less."""

import json

import codec
import initramfs
import pytest
from guest import kernel_folder
from initramfs import MODULES

AGENT = "/sbin/vmm-guest-agent"


@pytest.fixture
def start_bare(start_hosted, pytestconfig, tmp_path):
    build = pytestconfig.build / "tests/vm"

    def start(arguments="", directories=(), **options):
        kernel = kernel_folder()
        archive = initramfs.Archive()
        archive.copy(build / "loader", "/init")
        archive.copy(build / "static_agent", AGENT)
        initramfs.add_modules(archive, kernel / "modules", MODULES)
        for directory in directories:
            archive.directory(directory)
        archive.write(tmp_path / "initrd")
        return start_hosted(
            f"vmm_agent.workers=4 {arguments}", initrd=tmp_path / "initrd", driver=False, **options
        )

    return start


def up(hosted):
    """Once it answers."""
    done = hosted.ctl("wait", "--timeout", "50")
    assert done.returncode == 0, (done.stderr, hosted.guest.report())
    return hosted


def names(hosted, path):
    return {entry["name"] for entry in json.loads(hosted.ctl("ls", "--json", f"vm:{path}").stdout)}


def target(hosted, path):
    conn = hosted.dial(53)
    conn.send(codec.FILE_STAT_REQ, {"path": path})
    return conn.expect(codec.FILE_STAT).json()["symlink_target"]


def test_root_with_nothing_but_the_static_agent_is_enough(start_bare):
    card = ("-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net")
    hosted = up(start_bare("vmm_agent.hostname=bare", devices=card))
    assert "boot:" not in hosted.guest.console() and "WARN" not in hosted.guest.console()
    made_at_boot = {"dev", "etc", "proc", "sys", "run", "tmp"}
    assert {e for e in hosted.ctl("ls", "vm:/").stdout.split()} == made_at_boot | {"sbin", "root"}
    done = hosted.ctl("exec", "--", AGENT, "--version")
    assert (done.returncode, done.stdout.split()[0]) == (0, "vmm-guest-agent")
    assert hosted.ctl("exec", "-u", "1000:1000", "--", AGENT, "--version").returncode == 0
    assert hosted.ctl("exec", "--", "no-such-program").returncode == 127
    assert hosted.ctl("cp", "-", "vm:/new/file", input="content").returncode == 0
    assert hosted.ctl("cp", "vm:/new/file", "-").stdout == "content"
    assert hosted.ctl("cat", "vm:/proc/sys/kernel/hostname").stdout == "bare\n"
    assert hosted.ctl("restored", "--net", "10.0.2.77/24,10.0.2.2").returncode == 0
    assert "10.0.2.77" in hosted.ctl("cat", "vm:/proc/net/fib_trie").stdout
    assert hosted.ctl("cat", "vm:/etc/resolv.conf").stdout == "nameserver 10.0.2.2\n"
    assert hosted.ctl("shutdown").returncode == 0
    hosted.guest.wait_end(60)
    assert "Kernel panic" not in hosted.guest.console()


def test_init_without_a_console_serves(start_bare):
    """The kernel finds none, and hands init no descriptor."""
    hosted = up(start_bare("console=ttyS9 test_close=1"))
    assert target(hosted, "/proc/1/fd/0") == target(hosted, "/proc/1/fd/1") == "/dev/null"
    assert target(hosted, "/proc/1/fd/2") == "/dev/console"
    assert hosted.ctl("exec", "--", AGENT, "--version").returncode == 0


MOUNT_POINTS = ("/proc", "/sys", "/dev", "/run", "/tmp")


def test_read_only_root_without_an_etc_serves(start_bare):
    hosted = up(start_bare("test_root=ro ip=10.0.2.15::10.0.2.2:255.255.255.0", directories=MOUNT_POINTS))
    assert "none can be made: the root is read-only" in hosted.guest.console()
    assert hosted.guest.console().count("boot:") == 1
    assert hosted.ctl("exec", "--", AGENT, "--version").returncode == 0
    assert hosted.ctl("cp", "-", "vm:/tmp/file", input="content").returncode == 0
    assert hosted.ctl("cat", "vm:/tmp/file").stdout == "content"
    assert "Read-only" in hosted.ctl("cp", "-", "vm:/file", input="content").stderr


def test_read_only_root_without_any_mount_point_serves(start_bare):
    """No /proc, no /sys, no /run, and none can be made; /dev is of the kernel's own root."""
    hosted = up(start_bare("test_root=ro"))
    assert hosted.guest.console().count("boot: can't mount") == 5
    assert hosted.status()["pid"] == 1
    assert hosted.ctl("exec", "--", AGENT, "--version").returncode == 0
    assert hosted.ctl("exec", "-i", "--", AGENT, "--help", input="x").returncode == 0
    assert hosted.ctl("shutdown").returncode == 0
    hosted.guest.wait_end(60)
