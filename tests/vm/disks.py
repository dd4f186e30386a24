# SPDX-License-Identifier: MIT
"""Disks of a guest: each the image of an ext4, which the host copies and looks into.

    disk = Disk(folder, "data")     Guest(…, machine="q35", devices=disk.devices, modules=MODULES)
    copy = disk.copy(path)          as a snapshot of the disk has it, while the guest runs
    copy.needs_recovery(), copy.complaints(), copy.read("/file"), copy.replay()
"""

import pathlib
import struct
import subprocess

MODULES = ("virtio_blk",)
MIB = 1 << 20


class Image:
    def __init__(self, path):
        self.path = pathlib.Path(path)

    def needs_recovery(self):
        """Whether its journal is to be replayed, as the superblock says; see the kernel's
        Documentation/filesystems/ext4/super.rst."""
        with open(self.path, "rb") as file:
            file.seek(1024)
            block = file.read(1024)
        assert struct.unpack_from("<H", block, 0x38) == (0xEF53,)
        return struct.unpack_from("<I", block, 0x60)[0] & 4 != 0

    def complaints(self):
        """What e2fsck(8) says of it without writing to it; "" where all is well."""
        checked = subprocess.run(
            ["/sbin/e2fsck", "-fn", self.path],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, check=False,
        )  # fmt: skip
        return checked.stdout if checked.returncode or "recovery" in checked.stdout else ""

    def replay(self):
        """Does what the next mount would do."""
        subprocess.run(["/sbin/e2fsck", "-fy", self.path], capture_output=True, check=False)
        return self

    def read(self, name):
        """The bytes of the file NAME; of one that is not there none."""
        done = subprocess.run(
            ["/sbin/debugfs", "-R", f"cat {name}", self.path], capture_output=True, check=True
        )
        return done.stdout

    def extract(self, name, path):
        """The file NAME, as an image of its own."""
        subprocess.run(
            ["/sbin/debugfs", "-R", f"dump {name} {path}", self.path], capture_output=True, check=True
        )
        return Image(path)

    def copy(self, path):
        subprocess.run(["cp", "--sparse=always", self.path, path], check=True)
        return Image(path)


class Disk(Image):
    """HOLDS is a folder whose files are in it from the beginning."""

    def __init__(self, folder, name, mib=16, holds=None):
        super().__init__(pathlib.Path(folder, name))
        self.name = name
        with open(self.path, "wb") as file:
            file.truncate(mib * MIB)
        options = ["-d", holds] if holds else []
        subprocess.run(["/sbin/mke2fs", "-q", "-t", "ext4", *options, self.path], check=True)

    @property
    def devices(self):
        return (
            "-drive", f"if=none,id={self.name},format=raw,file={self.path}",
            "-device", f"virtio-blk-pci,drive={self.name}",
        )  # fmt: skip
