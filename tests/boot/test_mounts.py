# SPDX-License-Identifier: MIT
"""File systems and links, and what is left alone."""

import os
import subprocess
import time

import pytest

MOUNTS = {
    "/proc": ("proc", {"nosuid", "nodev", "noexec"}),
    "/sys": ("sysfs", {"nosuid", "nodev", "noexec"}),
    "/dev/pts": ("devpts", {"nosuid", "noexec", "gid=5", "mode=620", "ptmxmode=666", "max=2048"}),
    "/dev/pts-host": ("devpts", {"nosuid", "noexec", "gid=5", "mode=620", "ptmxmode=600"}),
    "/dev/shm": ("tmpfs", {"nosuid", "nodev"}),
    "/run": ("tmpfs", {"nosuid", "nodev", "mode=755"}),
    "/sys/fs/cgroup": ("cgroup2", {"nosuid", "nodev", "noexec"}),
}


def mounts(text):
    """(target, type, options) of each line of /proc/mounts."""
    lines = (line.split() for line in text.splitlines())
    return [(target, kind, set(options.split(","))) for _, target, kind, options, *_ in lines]


def mounted(root, *steps):
    done = root.boot(*steps, then="cat /proc/mounts")
    assert done.stderr == ""
    return mounts(done.stdout)


def test_file_systems_are_mounted_with_type_and_flags(root):
    found = mounted(root, "mounts")
    for target, (kind, options) in MOUNTS.items():
        there = [(k, o) for t, k, o in found if t == target]
        assert [k for k, _ in there] == [kind], target
        assert options <= there[0][1], target


def test_nothing_is_mounted_twice_however_often_it_is_done(root):
    found = mounted(root, "mounts", "mounts", "mounts")
    targets = [target for target, _, _ in found]
    assert sorted(targets) == sorted(set(targets))


def test_a_terminal_that_is_in_use_survives(root):
    script = "exec 3<>/dev/ptmx; ls /dev/pts; /bin/driver mounts -- /bin/ls /dev/pts"
    done = root.boot("mounts", "links", then=script)
    assert done.stdout.split() == ["0", "ptmx", "0", "ptmx"]


def test_shared_memory_is_open_to_all_and_sticky(root):
    assert root.boot("mounts", then="stat -c %a /dev/shm /run").stdout.split() == ["1777", "755"]


def test_shared_memory_has_a_quarter_of_all_memory(root):
    done = root.boot("mounts", then="busybox df -k /dev/shm; cat /proc/meminfo")
    size = int(next(line for line in done.stdout.splitlines() if line.endswith("/dev/shm")).split()[1])
    total = int(next(line for line in done.stdout.splitlines() if line.startswith("MemTotal")).split()[1])
    assert total * 0.24 < size < total * 0.26


def test_tmp_that_can_be_written_is_left_alone(root):
    root.at("/tmp").mkdir()
    assert "/tmp" not in [target for target, _, _ in mounted(root, "mounts")]


def test_tmp_is_made_where_there_is_none(root):
    done = root.boot("mounts", then="stat -c %a /tmp; cat /proc/mounts")
    mode, _, rest = done.stdout.partition("\n")
    assert mode == "1777"
    assert "/tmp" not in [target for target, _, _ in mounts(rest)]


def test_tmp_that_cannot_be_written_gets_a_file_system_of_its_own(root):
    for path in ("/tmp", "/proc", "/sys", "/run"):
        root.at(path).mkdir()
    root.make_read_only()
    found = mounted(root, "mounts")
    assert [(k, {"nosuid", "nodev"} <= o) for t, k, o in found if t == "/tmp"] == [("tmpfs", True)]


def test_mount_points_that_cannot_be_made_are_told_and_stop_nothing(root):
    root.at("/proc").mkdir()
    root.make_read_only()
    done = root.boot("mounts", then="cat /proc/mounts")
    targets = [target for target, _, _ in mounts(done.stdout)]
    assert {"/proc", "/dev/pts", "/dev/shm"} <= set(targets)
    for failed in ("sysfs on /sys:", "tmpfs on /run:", "tmpfs on /tmp:"):
        assert f"can't mount {failed} Read-only file system" in done.stderr


LINKS = {
    "/dev/ptmx": "pts/ptmx",
    "/dev/fd": "/proc/self/fd",
    "/dev/stdin": "/proc/self/fd/0",
    "/dev/stdout": "/proc/self/fd/1",
    "/dev/stderr": "/proc/self/fd/2",
}


@pytest.mark.parametrize("link", LINKS)
def test_link_leads_where_programs_expect(root, link):
    """/dev/ptmx is a device node at first, as in a devtmpfs."""
    assert root.boot("mounts", "links", then=f"readlink {link}").stdout.strip() == LINKS[link]


def test_links_that_are_right_are_left_alone(root):
    os.unlink(root.at("/dev/ptmx"))
    os.symlink("/dev/pts/ptmx", root.at("/dev/ptmx"))
    os.symlink("/proc/self/fd", root.at("/dev/fd"))
    before = [os.lstat(root.at(path)).st_ino for path in ("/dev/ptmx", "/dev/fd")]
    assert root.boot("mounts", "links").stderr == ""
    assert [os.lstat(root.at(path)).st_ino for path in ("/dev/ptmx", "/dev/fd")] == before


def test_links_that_lead_elsewhere_are_put_right(root):
    os.symlink("/nowhere", root.at("/dev/fd"))
    root.put("/dev/stdin", "a file")
    done = root.boot("mounts", "links", then="readlink /dev/fd; readlink /dev/stdin")
    assert done.stdout.split() == ["/proc/self/fd", "/proc/self/fd/0"]
    assert sorted(os.listdir(root.at("/dev"))) == sorted(
        ["null", "zero", "ptmx", "fd", "stdin", "stdout", "stderr", "pts", "pts-host", "shm"]
    )


def test_what_stands_in_a_links_way_is_told_and_stops_nothing(root):
    root.at("/dev/fd").mkdir()
    done = root.boot("mounts", "links", then="readlink /dev/stdout")
    assert done.stdout.strip() == LINKS["/dev/stdout"]
    assert "can't make the link /dev/fd: " in done.stderr


def test_a_pty_can_be_opened_by_the_link(root):
    done = root.boot("mounts", "links", then="exec 3<>/dev/ptmx && stat -c %t:%T /dev/pts/0")
    assert done.stdout.strip() == "88:0"


def test_init_without_descriptors_speaks_on_the_console(root):
    root.put("/dev/console", "")
    root.boot("close", "mounts", "console", then="echo heard >&2; readlink /proc/self/fd/0 >&2")
    assert root.at("/dev/console").read_text().split() == ["heard", "/dev/null"]


def test_init_without_descriptors_or_a_console_lives(root):
    root.boot("close", "mounts", "console", then="echo unheard >&2; echo; :")


def test_a_console_that_nobody_reads_stops_no_step(root):
    """Each of these steps has something to say."""
    root.at("/dev/fd").mkdir()
    root.at("/proc").mkdir()
    root.make_read_only()
    read_fd, write_fd = os.pipe()
    os.set_blocking(write_fd, False)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(write_fd, b"x" * 4096)
    # A sanitizer has words of its own, and would wait for a reader.
    os.set_blocking(write_fd, b"__asan_init" not in root.at("/bin/driver").read_bytes())
    begun = time.monotonic()
    done = root.boot("mounts", "links", "hostname=" + "x" * 65, then="cat /proc/mounts", stderr=write_fd)
    assert time.monotonic() - begun < 20
    assert "/proc" in [target for target, _, _ in mounts(done.stdout)]
    os.close(read_fd)
    os.close(write_fd)


def test_this_machines_own_mounts_are_as_they_were(root):
    before = subprocess.run(["cat", "/proc/mounts"], capture_output=True, check=True).stdout
    root.boot("mounts", "links")
    after = subprocess.run(["cat", "/proc/mounts"], capture_output=True, check=True).stdout
    assert before == after
