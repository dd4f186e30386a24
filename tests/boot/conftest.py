# SPDX-License-Identifier: MIT
"""Roots for a guest that is booted in name spaces of its own.

    root            a tmpfs with the driver, a shell, a /dev of its own
    root.boot("mounts", "links", then="cat /proc/mounts")

The /dev is a tmpfs too, which the agent takes for a devtmpfs: the real one is
the same in every mount name space, and this machine's must not be touched.
"""

import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "conformance"))

import plain_build  # noqa: E402

BUILD = pathlib.Path(os.environ["VMM_GUEST_BUILD"])
# A sanitizer misses the /proc that is still to be mounted.
NO_PROC_YET = re.compile(r"^==\d+==WARNING: reading executable name failed.*\n", re.MULTILINE)
NODES = {"null": (1, 3), "zero": (1, 5), "ptmx": (5, 2)}


def pytest_configure(config):
    config.addinivalue_line("markers", "plain_build: see plain_build.py")


def pytest_collection_modifyitems(config, items):
    plain_build.leave_out(config, items, BUILD / "vmm-guest-agent")


def run(*command):
    subprocess.run(command, check=True)


def libraries(program):
    """What the dynamic linker would load for PROGRAM."""
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
    return re.findall(r"(?:^|=>)\s*(/\S+) \(0x", listed.stdout, re.MULTILINE)


class Root:
    def __init__(self, path):
        self.path = path
        run("mount", "-t", "tmpfs", "root", path)
        for program in (BUILD / "tests/boot/driver", shutil.which("busybox")):
            self.copy(program, "/bin/" + os.path.basename(program))
            for library in libraries(program):
                self.copy(library, library)
        for applet in ("sh", "cat", "stat", "readlink", "hostname", "ip", "ls", "mkdir", "sleep"):
            os.symlink("busybox", self.at("/bin/" + applet))

    def at(self, path):
        return self.path / path.lstrip("/")

    def copy(self, source, path):
        self.at(path).parent.mkdir(parents=True, exist_ok=True)
        if not self.at(path).exists():
            shutil.copy(source, self.at(path))

    def put(self, path, text):
        self.at(path).parent.mkdir(parents=True, exist_ok=True)
        self.at(path).write_text(text)

    def mount_dev(self):
        """/dev as somebody else would have filled it."""
        self.at("/dev").mkdir(exist_ok=True)
        run("mount", "-t", "tmpfs", "-o", "mode=0755,nosuid", "dev", self.at("/dev"))
        for name, (major, minor) in NODES.items():
            node = self.at("/dev/" + name)
            os.mknod(node, stat.S_IFCHR | 0o666, os.makedev(major, minor))
            os.chmod(node, 0o666)

    def make_read_only(self):
        run("mount", "-o", "remount,ro", self.path)

    def boot(self, *steps, then="true", stderr=subprocess.PIPE):
        """Runs STEPS as process 1 of a guest, then a line of shell; what both said."""
        command = [
            "unshare", "--mount", "--net", "--uts", "--pid", "--fork", "--propagation", "private",
            "chroot", self.path, "/bin/driver", *steps, "--", "/bin/sh", "-c", then,
        ]  # fmt: skip
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr, text=True,
            timeout=30, env={"PATH": "/bin:/usr/bin:/usr/sbin:/sbin"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        done.stderr = NO_PROC_YET.sub("", done.stderr or "")
        return done


@pytest.fixture
def bare_root(tmp_path):
    """Without a /dev."""
    path = tmp_path / "root"
    path.mkdir()
    yield Root(path)
    run("umount", "-R", path)


@pytest.fixture
def root(bare_root):
    bare_root.mount_dev()
    return bare_root
