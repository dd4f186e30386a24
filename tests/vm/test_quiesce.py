# SPDX-License-Identifier: MIT
"""A guest that stands still: what is frozen, what a copy of its disk holds, and that all go on."""

import hashlib
import os
import re
import threading
import time

import codec
import pytest
import state
from disks import MODULES, Disk
from quiescing import (
    CGROUP, Counter, Quiesce, Writer, check_numbers, held, sessions_are_frozen, slow_disk,
    start_with_disks, writers,
)  # fmt: skip
from sessions import MIB, is_running

# Shorter than the longest hold below, by more than that a busy machine is late.
STALL_SECONDS, HOLD_SECONDS = 8, 10
WRITE_EVERYWHERE = "echo x >/disk/after; echo x >/other/after; echo x >/loop/after"
ARGUMENTS = f"vmm_agent.workers=16 vmm_agent.stall_timeout={STALL_SECONDS}"


@pytest.fixture(scope="module")
def hosted(boot, pytestconfig):
    """The one guest of nearly all tests."""
    with start_with_disks(boot, pytestconfig.build, ARGUMENTS) as started:
        yield started


@pytest.fixture(autouse=True)
def nobody_died(request):
    yield
    if "hosted" in request.fixturenames:
        assert request.getfixturevalue("hosted").status()["worker_deaths"]["total"] == 0


# ---- what a copy of the disk holds ---------------------------------------------


def check_copy(copy, acknowledged):
    """As of a disk that was unmounted, with the numbers of each writer up to the one ACKNOWLEDGED."""
    assert not copy.needs_recovery() and copy.complaints() == ""
    for i, last in enumerate(acknowledged):
        check_numbers(copy.read(f"/writer-{i}"), last)


def test_copy_of_a_disk_that_is_written_to_needs_a_replay(hosted, tmp_path):
    """What those below would find, if nothing were frozen."""
    with writers(hosted, "/disk"):
        copy = hosted.disk.copy(tmp_path / "copy")
        assert copy.needs_recovery() and copy.complaints()


def test_copy_of_a_frozen_disk_needs_none_and_has_all_that_was_acknowledged(hosted, tmp_path):
    with writers(hosted, "/disk") as eight:
        with held(hosted, fsfreeze=["/disk"]) as quiesce:
            assert quiesce.frozen == ["/disk"]
            acknowledged = [writer.acknowledged() for writer in eight]
            copy = hosted.disk.copy(tmp_path / "copy")
            hosted.status()
            assert [writer.acknowledged() for writer in eight] == acknowledged
        check_copy(copy, acknowledged)
        for writer in eight:
            writer.goes_on()


def test_writers_who_are_not_frozen_wait_for_the_disk_and_see_no_error(hosted, tmp_path):
    with writers(hosted, "/disk") as eight:
        with held(hosted, freeze="none", sync=False, fsfreeze=["/disk"]):
            assert not sessions_are_frozen(hosted)
            acknowledged = [writer.acknowledged() for writer in eight]
            copy = hosted.disk.copy(tmp_path / "copy")
        check_copy(copy, acknowledged)
        for writer in eight:
            writer.goes_on()


def test_file_system_on_a_loop_device_is_frozen_before_the_one_its_file_lies_in(hosted, tmp_path):
    with writers(hosted, "/disk", "/loop", count=2) as four:
        with held(hosted, fsfreeze="all") as quiesce:
            assert sorted(quiesce.frozen) == ["/disk", "/loop", "/other"]
            assert quiesce.frozen.index("/loop") < quiesce.frozen.index("/disk")
            acknowledged = [writer.acknowledged() for writer in four[2:]]
            copy = hosted.disk.copy(tmp_path / "copy")
        inner = copy.extract("/image", tmp_path / "inner")
        for image in (copy, inner):
            assert not image.needs_recovery() and image.complaints() == ""
        for i, writer in enumerate(four[2:]):
            check_numbers(inner.read(f"/writer-{i}"), acknowledged[i])
            writer.goes_on()


def test_the_other_way_round_both_would_hang(hosted):
    """Why there is an order."""
    hosted.guest.output("rm -f /run/end; echo x >/loop/dirty; fsfreeze --freeze /disk")
    hosted.guest.output("(fsfreeze --freeze /loop; echo $? >/run/end) >/dev/null 2>&1 & sleep 1")
    hangs = hosted.guest.run("test ! -e /run/end").status == 0
    hosted.guest.output("fsfreeze --unfreeze /disk; until test -e /run/end; do sleep 0.1; done")
    hosted.guest.output("fsfreeze --unfreeze /loop")
    assert hangs


@pytest.mark.parametrize("sync", [True, False])
def test_what_nobody_synced_is_on_the_disk_if_sync_is_asked_for_and_only_then(hosted, tmp_path, sync):
    hosted.guest.output(
        "echo 0 >/proc/sys/vm/dirty_writeback_centisecs; echo old >/disk/kept; sync;"
        " echo new >/disk/text; dd if=/disk/text of=/disk/kept conv=notrunc 2>/dev/null"
    )
    with held(hosted, sync=sync) as quiesce:
        assert quiesce.frozen == []
        copy = hosted.disk.copy(tmp_path / "copy").replay()
    hosted.guest.output("echo 500 >/proc/sys/vm/dirty_writeback_centisecs")
    assert copy.read("/kept") == (b"new\n" if sync else b"old\n")


# ---- who stands still ------------------------------------------------------------


def test_programs_make_no_progress_while_held_and_status_answers(hosted):
    counter = Counter(hosted, "count")
    with held(hosted):
        assert sessions_are_frozen(hosted)
        counter.stands_still()
        assert hosted.status()["workers"]["exec"] == 1
    assert not sessions_are_frozen(hosted)
    counter.goes_on()
    counter.conn.close()
    hosted.wait_idle()


def test_fork_bomb_at_its_limit_is_frozen(hosted):
    """It can't be ended but by its cgroup, before and after."""
    conn = hosted.start("echo up; bomb() { bomb | bomb & }; bomb; sleep 600", limits={"pids": 60})
    conn.read_output(b"up\n")
    state.wait_until(lambda: int(hosted.guest.output(f"cat {CGROUP}/pids.current")) >= 50)
    for _ in range(3):
        with held(hosted):
            before = hosted.guest.output(f"cat {CGROUP}/[0-9]*/cgroup.procs")
            assert sessions_are_frozen(hosted)
            assert hosted.guest.output(f"cat {CGROUP}/[0-9]*/cgroup.procs") == before
    conn.close()
    hosted.wait_idle()


def test_cgroup_that_a_session_made_below_its_own_is_frozen(hosted):
    own = "own=/sys/fs/cgroup$(sed s/^0::// /proc/self/cgroup)/own; mkdir $own; echo $$ >$own/cgroup.procs"
    counter = Counter(hosted, "below", own)
    assert hosted.guest.output(f"cat {CGROUP}/*/own/cgroup.procs")
    with held(hosted):
        counter.stands_still()
    counter.goes_on()
    counter.conn.close()
    hosted.wait_idle()


def test_kill_9_ends_a_session_that_is_frozen(hosted):
    conn = hosted.start("echo up; sleep 600", name="frozen")
    conn.read_output(b"up\n")
    session = next(s for s in hosted.status()["slots"] if s.get("name") == "frozen")["session"]
    with held(hosted):
        kill = hosted.dial()
        kill.send(codec.KILL, {"session": session, "signal": 9})
        assert kill.result().code == 0
        state.wait_until(lambda: not is_running(hosted.guest, "sleep 600"))
        assert not conn.wait_readable(0.5)
    assert conn.result().signal == 9


def waits_to_write(guest, command):
    """Whether the process that runs COMMAND waits in the kernel until a frozen file system is thawed: in D any
    is for moments."""
    return any(command in title and kind == "D" and "mnt_want_write" in guest.output(f"cat /proc/{pid}/stack; true")
               for pid, (_, kind, title) in state.processes(guest).items())


def goes_on_in_the_kernel(hosted, command, release):
    """A session is in D; returns what became of a QUIESCE."""
    counter = Counter(hosted, "beside")
    conn = hosted.start(f"echo up; {command}")
    conn.read_output(b"up\n")
    state.wait_until(lambda: waits_to_write(hosted.guest, command))
    # Long enough for all others to rest in, on a busy machine too.
    quiesce = Quiesce(hosted, fsfreeze=["/disk"], within_ms=5000)
    quiesce.said
    assert quiesce.end(1) is None
    counter.goes_on()
    hosted.guest.output("echo x >/disk/after; " + release)
    counter.conn.close()
    return quiesce, conn


def test_program_that_hangs_in_the_kernel_is_why_a_quiesce_fails_and_is_undone(hosted):
    hosted.guest.output("fsfreeze --freeze /other")
    quiesce, conn = goes_on_in_the_kernel(hosted, "echo x >/other/late; echo done", "fsfreeze --unfreeze /other")
    assert list(quiesce.errors) == ["rest", "sessions"] and quiesce.errors["rest"] == ""
    assert quiesce.errors["sessions"].startswith("ETIMEDOUT: ") and quiesce.frozen == []
    assert quiesce.said["error"] == quiesce.errors["sessions"]
    conn.read_output(b"done\n")
    assert conn.result().code == 0
    hosted.wait_idle()


def test_program_that_hangs_is_seen_though_its_cgroup_has_another_below(hosted):
    """Of which the kernel says that it is frozen as soon as the one below is, which nothing is in."""
    hosted.guest.output("fsfreeze --freeze /other")
    own = "mkdir /sys/fs/cgroup$(sed s/^0::// /proc/self/cgroup)/own"
    quiesce, conn = goes_on_in_the_kernel(hosted, f"{own}; echo x >/other/late; echo done",
                                          "fsfreeze --unfreeze /other")
    assert quiesce.errors["sessions"].startswith("ETIMEDOUT: ")
    conn.read_output(b"done\n")
    assert conn.result().code == 0
    hosted.wait_idle()


def test_threads_of_a_cgroup_that_has_another_below_are_frozen_as_all(hosted):
    counter = Counter(hosted, "above", "mkdir /sys/fs/cgroup$(sed s/^0::// /proc/self/cgroup)/own")
    with held(hosted):
        counter.stands_still()
    counter.goes_on()
    counter.conn.close()
    hosted.wait_idle()


# ---- what is in mid-stream ---------------------------------------------------------


class Reading(threading.Thread):
    """Takes all that comes on CONN, at once, up to the frame that ends it."""

    def __init__(self, conn):
        super().__init__(daemon=True)
        self.conn = conn
        self.start()

    def run(self):
        while self.conn.recv(120).type not in (codec.EXIT, codec.FILE_DONE):
            pass
        self.conn.close()

    def payload(self, *kinds):
        self.join(120)
        assert not self.is_alive()
        return b"".join(frame.payload for frame in self.conn.frames if frame.type in kinds)


def numbers(last, end=b"\n"):
    return b"".join(b"%d" % i + end for i in range(1, last + 1))


def test_streams_go_on_with_each_byte_after_a_hold_that_is_longer_than_any_stall(hosted):
    size = 2 * MIB
    data = os.urandom(size)
    digest = hashlib.sha256(data).hexdigest()
    hosted.guest.output(f"head -c {2 * MIB} /dev/urandom >/tmp/big; mkdir -p /tmp/watched")
    # Slower than a host can read, that they are under way for long enough.
    slow = "for i in $(seq 1 30); do seq $((i * 100 - 99)) $((i * 100)); sleep 0.1; done"
    tty, plain = hosted.start(slow, tty=True), hosted.start(slow)
    upload = hosted.dial(53)
    upload.send(codec.FILE_WRITE_REQ, {"path": "/disk/upload", "size": size, "mode": 0o644})
    upload.send(codec.FILE_DATA, data[: size // 2])
    watch = hosted.dial(53)
    watch.send(codec.FILE_WATCH_REQ, {"path": "/tmp/watched", "recursive": False})
    watch.expect(codec.FILE_ACK)
    read = hosted.dial(53)
    read.send(codec.FILE_READ_REQ, {"path": "/tmp/big"})
    read.recv()
    readers = [Reading(conn) for conn in (tty, plain, read)]
    with held(hosted, fsfreeze="all", hold_ms=60000) as quiesce:
        hosted.guest.output("echo x >/tmp/watched/while-held")
        began = time.monotonic()
        time.sleep(0.5)
        came = [len(reader.conn.frames) for reader in readers]
        while time.monotonic() - began < HOLD_SECONDS:
            hosted.status()
            time.sleep(0.5)
        assert [len(reader.conn.frames) for reader in readers] == came
        assert not watch.wait_readable(0) and not upload.wait_readable(0)
        assert not quiesce.conn.wait_readable(0)
    upload.send_reading(codec.encode(codec.FILE_DATA, data[size // 2 :]) + codec.encode(codec.FILE_DONE))
    assert upload.expect(codec.FILE_ACK)
    assert hosted.guest.output("sha256sum </disk/upload").split()[0] == digest
    assert watch.expect(codec.FILE_EVENT).json()["path"] == "/tmp/watched/while-held"
    assert readers[0].payload(codec.STDOUT) == numbers(3000, b"\r\n")
    assert readers[1].payload(codec.STDOUT) == numbers(3000)
    big = hashlib.sha256(readers[2].payload(codec.FILE_DATA)).hexdigest()
    assert hosted.guest.output("sha256sum </tmp/big").split()[0] == big
    watch.close()
    hosted.guest.output("rm /tmp/big /disk/upload")
    assert hosted.status()["sessions"]["stalled"] == 0


def test_session_whose_host_reads_nothing_is_named(hosted):
    """It can't come to the end of a frame."""
    hosted.guest.output(f"head -c {2 * MIB} /dev/zero >/tmp/big")
    read = hosted.dial(53)
    read.send(codec.FILE_READ_REQ, {"path": "/tmp/big"})
    slot = state.wait_until(lambda: next((s for s in hosted.status()["slots"] if s["kind"] == "read"), None))
    time.sleep(1)
    quiesce = Quiesce(hosted, within_ms=1000)
    assert quiesce.said["error"].startswith("ETIMEDOUT: ")
    assert f"session {slot['session']} (read)" in quiesce.errors["rest"]
    assert list(quiesce.errors) == ["rest"] and quiesce.end(1) is None
    assert hashlib.sha256(Reading(read).payload(codec.FILE_DATA)).hexdigest() == hashlib.sha256(bytes(2 * MIB)).hexdigest()
    hosted.guest.output("rm /tmp/big")


# ---- which file systems ------------------------------------------------------------


def test_each_file_system_is_frozen_once_however_often_it_is_mounted(hosted):
    hosted.guest.output("mkdir -p /again /bound && mount -t ext4 /dev/vdb /again && mount -o bind /other /bound")
    with held(hosted, fsfreeze="all") as quiesce:
        assert len(quiesce.frozen) == 3
    with held(hosted, fsfreeze=["/other", "/again", "/bound"]) as quiesce:
        assert len(quiesce.frozen) == 1
    hosted.guest.output("umount /again; umount /bound; echo x >/other/after")


def test_what_another_has_frozen_is_skipped_and_stays_frozen(hosted):
    hosted.guest.output("fsfreeze --freeze /other")
    with held(hosted, fsfreeze="all") as quiesce:
        assert quiesce.frozen == ["/loop", "/disk"]
        assert quiesce.skipped["/other"] == "frozen by another"
    still = hosted.guest.run("fsfreeze --freeze /other")
    hosted.guest.output("fsfreeze --unfreeze /other; echo x >/other/after; echo x >/disk/after")
    assert still.status != 0 and "busy" in still.output


def test_what_another_has_frozen_is_an_error_where_it_was_named(hosted):
    hosted.guest.output("fsfreeze --freeze /disk")
    counter = Counter(hosted, "count")
    quiesce = Quiesce(hosted, fsfreeze=["/other", "/disk"])
    assert quiesce.errors["fsfreeze"].startswith("EBUSY: /disk")
    assert quiesce.said["error"] == quiesce.errors["fsfreeze"] and quiesce.end(1) is None
    still = hosted.guest.run("fsfreeze --freeze /disk")
    # What was frozen before it is not any more.
    hosted.guest.output("echo x >/other/after; fsfreeze --unfreeze /disk; echo x >/disk/after")
    counter.goes_on()
    counter.conn.close()
    hosted.wait_idle()
    assert still.status != 0 and "busy" in still.output


def test_what_lies_on_no_disk_is_listed_and_one_that_hangs_is_not_asked(hosted):
    """Nobody answers for the FUSE."""
    hosted.guest.output(
        "(exec 9<>/dev/fuse && mount -i -t fuse -o fd=9,rootmode=40000,user_id=0,group_id=0 none /fuse &&"
        " touch /run/fuse && exec sleep 1000) >/dev/null 2>&1 & until test -e /run/fuse; do sleep 0.1; done"
    )
    hosted.guest.output("mkdir -p /read; mount -t tmpfs none /read; umount /other; mount -t ext4 -o ro /dev/vdb /other")
    with held(hosted, fsfreeze="all") as quiesce:
        assert quiesce.frozen == ["/loop", "/disk"]
        skipped = quiesce.skipped
    named = Quiesce(hosted, fsfreeze=["/run"])
    hosted.guest.output("umount /read; umount /other; mount -t ext4 /dev/vdb /other; umount -l /fuse")
    assert skipped["/fuse"] == "fuse" and skipped["/other"] == "read-only"
    assert all(skipped[path] == "virtual" for path in ("/proc", "/sys", "/run", "/read", "/dev/shm"))
    assert named.said["error"].startswith("ENOTSUP: /run: virtual") and named.end(1) is None


def test_file_system_can_not_lose_its_last_mount_while_it_is_frozen(hosted):
    with held(hosted, freeze="none", fsfreeze=["/other"]):
        refused = hosted.guest.run("umount /other")
        hosted.guest.output("umount -l /other")
    assert refused.status != 0 and "busy" in refused.output
    hosted.guest.output("mount -t ext4 /dev/vdb /other; echo x >/other/after")


@pytest.mark.parametrize(("step", "sync"), [("sync", True), ("fsfreeze", False)])
def test_disk_that_takes_too_long_is_thawed_when_it_has_answered(hosted, step, sync):
    counter = Counter(hosted, "count")
    hosted.guest.output(f"head -c {MIB} /dev/zero >/disk/dirty")
    with slow_disk(hosted):
        quiesce = Quiesce(hosted, fsfreeze=["/disk"], sync=sync, within_ms=1000)
        # Sessions do not wait for the disk.
        time.sleep(2)
        state.wait_until(lambda: not sessions_are_frozen(hosted))
        counter.goes_on()
        hosted.status()
    assert quiesce.said["error"] and quiesce.end(1) is None
    hosted.guest.output("echo x >/disk/after; rm /disk/dirty")
    with held(hosted, fsfreeze=["/disk"]):
        pass
    counter.conn.close()
    hosted.wait_idle()


# ---- how it ends ---------------------------------------------------------------------


def test_hold_ends_by_itself(hosted):
    counter = Counter(hosted, "count")
    began = time.monotonic()
    quiesce = Quiesce(hosted, fsfreeze="all", hold_ms=1500)
    assert "error" not in quiesce.said
    assert quiesce.end() == "expired" and time.monotonic() - began >= 1.5
    counter.goes_on()
    hosted.guest.output(WRITE_EVERYWHERE)
    counter.conn.close()
    hosted.wait_idle()


def test_host_that_goes_ends_it(hosted):
    counter = Counter(hosted, "count")
    quiesce = Quiesce(hosted, fsfreeze="all", hold_ms=600000)
    assert "error" not in quiesce.said
    quiesce.conn.close()
    counter.goes_on()
    hosted.guest.output(WRITE_EVERYWHERE)
    counter.conn.close()
    hosted.wait_idle()


def test_host_that_said_so_may_go_and_another_thaws_it(hosted):
    counter = Counter(hosted, "count")
    quiesce = Quiesce(hosted, fsfreeze="all", hold_ms=600000, on_gone="hold")
    assert "error" not in quiesce.said
    quiesce.conn.close()
    counter.stands_still()
    assert sessions_are_frozen(hosted)
    thaw = hosted.dial()
    thaw.send(codec.THAW)
    assert thaw.until_exit().code == 0
    counter.goes_on()
    hosted.guest.output(WRITE_EVERYWHERE)
    thaw.close()
    counter.conn.close()
    hosted.wait_idle()


def test_hold_that_outlives_its_host_ends_by_itself(hosted):
    counter = Counter(hosted, "count")
    began = time.monotonic()
    quiesce = Quiesce(hosted, fsfreeze="all", hold_ms=1500, on_gone="hold")
    assert "error" not in quiesce.said
    quiesce.conn.close()
    state.wait_until(lambda: not sessions_are_frozen(hosted))
    assert time.monotonic() - began >= 1.5
    counter.goes_on()
    hosted.guest.output(WRITE_EVERYWHERE)
    counter.conn.close()
    hosted.wait_idle()


# ---- a guest that ends meanwhile -------------------------------------------------------


@pytest.fixture
def ending(start_hosted, tmp_path):
    """A guest with one disk whose log goes where nobody can write, which is held."""
    def start(log):
        disk = Disk(tmp_path, "disk")
        started = start_hosted(
            f"vmm_agent.workers=4 vmm_agent.log=debug test_log={log}", [51],
            devices=disk.devices, modules=MODULES,
        )  # fmt: skip
        started.listeners[0].hear(60)
        started.disk = disk
        started.guest.output("mkdir -p /disk; grep -q /disk /proc/mounts || mount -t ext4 /dev/vda /disk")
        return started

    return start


def end_cleanly(hosted, quiesce, acknowledged):
    assert quiesce.end() == "shutdown"
    hosted.guest.wait_end(60)
    assert re.search("reboot: (Restarting system|Power down)", hosted.guest.console())
    check_numbers(hosted.disk.read("/numbers"), acknowledged)


def begin_end(hosted):
    writer = Writer(hosted, "/disk/numbers")
    writer.goes_on()
    quiesce = Quiesce(hosted, fsfreeze="all", hold_ms=600000)
    assert quiesce.frozen == ["/disk"] and "error" not in quiesce.said
    assert hosted.disk.complaints() == ""
    return quiesce, writer.acknowledged()


def test_guest_that_is_held_thaws_and_ends_by_term_though_nobody_reads_the_log(ending):
    hosted = ending("full")
    quiesce, acknowledged = begin_end(hosted)
    hosted.guest.send("kill -TERM 1")
    end_cleanly(hosted, quiesce, acknowledged)
    assert not hosted.disk.needs_recovery()


def test_guest_that_is_held_thaws_and_ends_by_shutdown_though_its_log_is_on_the_frozen_disk(ending):
    hosted = ending("disk")
    quiesce, acknowledged = begin_end(hosted)
    assert hosted.ctl("shutdown", "--reboot", "--grace", "1").returncode == 0
    end_cleanly(hosted, quiesce, acknowledged)
    assert b"quiesce 1: thawed" in hosted.disk.replay().read("/log")
