# SPDX-License-Identifier: MIT
"""A guest that stands still: what is frozen, what a copy of its disk holds, and that all go on."""

import contextlib
import tempfile

import codec
import pytest
import state
from disks import MODULES, Disk
from host_vsock import HostVsock
from hosted import Hosted

WORKERS = 16
WRITERS = 8
WRITES_ENOUGH = 5


@pytest.fixture(scope="module")
def hosted(boot, pytestconfig):
    """The one guest of nearly all tests: /disk and /other, each the ext4 of a disk."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="vmm-quiesce-"))
        host = HostVsock(folder)
        stack.callback(host.close)
        disks = [Disk(folder, "disk", 64), Disk(folder, "other")]
        started = Hosted(
            boot, pytestconfig.build, host, f"vmm_agent.workers={WORKERS}",
            devices=disks[0].devices + disks[1].devices, modules=(*MODULES, "loop", "fuse"),
        )  # fmt: skip
        stack.callback(started.guest.stop)
        started.disk, started.other = disks
        started.guest.output(
            "mkdir /disk /other && mount -t ext4 /dev/vda /disk && mount -t ext4 /dev/vdb /other"
        )
        yield started


class Writer:
    """A session that writes numbers into a file, and says each once it is on the disk."""

    def __init__(self, hosted, path):
        self.path = path
        self.conn = hosted.dial()
        self.conn.send(codec.START, codec.start(["writer", path]))
        self.said = b""

    def acknowledged(self):
        """The last number that has come so far, of one that had no error."""
        while self.conn.wait_readable(0):
            frame = self.conn.recv()
            assert frame is not None and frame.type == codec.STDOUT, frame
            self.said += frame.payload
        return self.said.count(b"\n")

    def goes_on(self):
        """Waits for some more."""
        last = self.acknowledged() + WRITES_ENOUGH
        state.wait_until(lambda: self.acknowledged() >= last)

    def check(self, held):
        """HELD is what a copy has of the file: all numbers that were acknowledged, and more,
        if the last ones were not said yet."""
        lines = held.splitlines()
        assert lines == [b"%d" % i for i in range(1, len(lines) + 1)]
        assert len(lines) >= self.acknowledged() > 0


@contextlib.contextmanager
def writers(hosted, folder, count=WRITERS):
    started = [Writer(hosted, f"{folder}/writer-{i}") for i in range(count)]
    try:
        for writer in started:
            writer.goes_on()
        yield started
    finally:
        for writer in started:
            writer.conn.close()
        hosted.wait_idle()


# ---- the disk -----------------------------------------------------------------


def test_copy_of_a_disk_that_is_written_to_needs_a_replay(hosted, tmp_path):
    """What those below would find, if nothing were frozen."""
    with writers(hosted, "/disk"):
        copy = hosted.disk.copy(tmp_path / "copy")
        assert copy.needs_recovery() and copy.complaints()
