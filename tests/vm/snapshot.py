# SPDX-License-Identifier: MIT
"""A guest that is stored while it runs, and started again, as often as one likes.

    with booted(boot, build) as machine:                  its disk is at /disk
        machine.plug()                                    its vsock device
        machine.unplug(); machine.save("name"); machine.plug()
        stored = machine.end()                            its disk has the snapshots in it
    Machine(boot, build, folder, stored.copy(folder), stored, "name", cid=7)     a clone

QEMU can't store what another process has of a device. So the vsock device is not there
while a snapshot is made and loaded: it is behind a port that is there to plug and unplug
it, and the guest's connections are reset, as each restore resets them.
"""

import contextlib
import pathlib
import shutil
import struct
import tempfile
import threading
import time

import state
from disks import MODULES, Disk
from host_vsock import DEVICE, GUEST_CID, HostVsock
from hosted import MEMORY_MIB, Hosted

PORT = "pluggable"
CLUSTER_BITS = 16
CLUSTER = 1 << CLUSTER_BITS
COPIED = 1 << 63  # in a table: the cluster has no other user
CMOS_ADDRESS, CMOS_DATA = 0x70, 0x71  # ports; and a register, in decimal digits
CMOS_YEAR = 9
ADDRESS = "10.0.2.15"
WORKERS = 10
ARGUMENTS = f"vmm_agent.workers={WORKERS} ip={ADDRESS}::10.0.2.2:255.255.255.0:golden:eth0:off"


def write_qcow2(path, raw):
    """An image with what is in the file RAW, which can hold snapshots (QEMU's
    docs/interop/qcow2.txt): header, reference counts, one table of tables, one table,
    then the clusters that are not empty."""
    data = pathlib.Path(raw).read_bytes()
    pieces = [data[at : at + CLUSTER] for at in range(0, len(data), CLUSTER)]
    kept = [(i, piece) for i, piece in enumerate(pieces) if piece.count(0) != len(piece)]
    first = 5
    assert len(pieces) <= CLUSTER // 8 and first + len(kept) <= CLUSTER // 2, "more than one table"
    header = struct.pack(
        ">4sIQIIQIIQQIIQQQQII",
        b"QFI\xfb", 3, 0, 0, CLUSTER_BITS, len(data), 0, 1, 3 * CLUSTER, CLUSTER, 1, 0, 0, 0, 0, 0, 4, 104,
    )  # fmt: skip
    table = [0] * len(pieces)
    for n, (i, _) in enumerate(kept):
        table[i] = (first + n) * CLUSTER | COPIED
    clusters = [
        header,
        struct.pack(">Q", 2 * CLUSTER),
        struct.pack(">H", 1) * (first + len(kept)),
        struct.pack(">Q", 4 * CLUSTER | COPIED),
        struct.pack(f">{len(table)}Q", *table),
        *(piece for _, piece in kept),
    ]
    with open(path, "wb") as image:
        for cluster in clusters:
            image.write(cluster.ljust(CLUSTER, b"\0"))


class Stored:
    """What a machine that has ended left: its disk, and what it was booted from."""

    def __init__(self, disk, initrd):
        self.disk = disk
        self.initrd = initrd

    def copy(self, folder):
        """A disk for one that is started from it."""
        return shutil.copy(self.disk, pathlib.Path(folder, "clone"))


class Machine(Hosted):
    """A guest in FOLDER, with the image DISK: the usual one, or one that goes on where NAME
    of STORED was."""

    def __init__(self, boot, build, folder, disk, stored=None, name="", cid=GUEST_CID):
        self.folder = pathlib.Path(folder)
        self.disk = disk
        self.host = HostVsock(folder, cid)
        self.ctl_path = build / "vmm-guest-ctl"
        options = {"modules": MODULES}
        if stored is not None:
            options = {"initrd": stored.initrd, "driver": False}
        try:
            self.guest = boot(
                ARGUMENTS, machine="q35", memory_mib=MEMORY_MIB, devices=self._devices(name), **options
            )
        except BaseException:
            self.host.close()
            raise
        self.guest.output("true")  # QEMU is there, and the guest runs

    def _devices(self, name):
        return (
            *self.host.backend(MEMORY_MIB),
            "-device", f"pcie-root-port,id={PORT},chassis=1",
            "-drive", f"if=none,id=disk,format=qcow2,file={self.disk}",
            "-device", "virtio-blk-pci,drive=disk",
            "-netdev", "user,id=net,restrict=on",
            "-device", "virtio-net-pci,netdev=net,romfile=",
            "-smp", "2",
            *(("-loadvm", name) if name else ()),
        )  # fmt: skip

    def plug(self):
        """Until the agent answers its host."""
        self.guest.qmp("device_add", **DEVICE, bus=PORT)
        done = self.ctl("wait", "--timeout", "60")
        assert done.returncode == 0, (done, self.guest.report())

    def unplug(self):
        """Until the guest has let go."""
        self.guest.qmp("device_del", id=DEVICE["id"])
        state.wait_until(lambda: not self._has_device())

    def _has_device(self):
        listed = self.guest.qmp("qom-list", path="/machine/peripheral")
        return any(entry["name"] == DEVICE["id"] for entry in listed)

    def save(self, name):
        said = self.guest.monitor(f"savevm {name}")
        assert said == "", said

    def load(self, name):
        said = self.guest.monitor(f"loadvm {name}")
        assert said == "", said

    def jump(self):
        """The guest sleeps as a notebook does, and wakes up a year later by its battery's
        clock: CLOCK_BOOTTIME jumps, as a restore has it do on some machines."""
        waker = threading.Thread(target=self._wake_a_year_later)
        waker.start()
        self.guest.output("echo mem >/sys/power/state")
        waker.join()

    def _wake_a_year_later(self):
        year = (time.gmtime().tm_year + 1) % 100
        state.wait_until(lambda: self.guest.qmp("query-status")["status"] == "suspended")
        self.guest.monitor(f"o /b {CMOS_ADDRESS:#x} {CMOS_YEAR:#x}")
        self.guest.monitor(f"o /b {CMOS_DATA:#x} 0x{year:02}")
        self.guest.qmp("system_wakeup")

    def end(self):
        """Ends it as a plug that is pulled does, and keeps what is stored."""
        initrd = shutil.copy(self.guest.folder / "initrd", self.folder / "initrd")
        self.guest.qmp("quit")
        self.guest.wait_end(60)
        self.stop()
        return Stored(self.disk, initrd)

    def stop(self):
        self.guest.stop()
        self.host.close()


@contextlib.contextmanager
def booted(boot, build):
    """A machine in a folder of its own, with an ext4 file system at /disk and no vsock device
    yet, until the block ends."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="vmm-snapshot-"))
        write_qcow2(f"{folder}/disk", Disk(folder, "raw").path)
        machine = Machine(boot, build, folder, f"{folder}/disk")
        stack.callback(machine.stop)
        machine.guest.output("mkdir /disk && mount -t ext4 /dev/vda /disk")
        yield machine
