# SPDX-License-Identifier: MIT
"""vmm-guest-ctl cp onto a file of this machine that is there: what it keeps."""

import os
import subprocess

import pytest

from client import Ctl

NEW = b"new" * 1000


@pytest.fixture
def ctl(agent):
    return Ctl(agent.path)


@pytest.fixture
def guest(tmp_path):
    (tmp_path / "guest").write_bytes(NEW)
    os.chmod(tmp_path / "guest", 0o755)
    os.utime(tmp_path / "guest", ns=(1, 981173106789012345))
    return "vm:%s" % (tmp_path / "guest")


@pytest.fixture
def here(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "here").write_text("old")
    os.chmod(tmp_path / "d" / "here", 0o640)
    return tmp_path / "d" / "here"


def acl(path):
    return subprocess.run(["getfacl", "-cn", "--absolute-names", path], check=True, capture_output=True).stdout


def set_acl(*args):
    subprocess.run(["setfacl", *map(str, args)], check=True)


def mode(path):
    return os.stat(path).st_mode & 0o7777


def test_a_file_keeps_its_owner_and_group(ctl, guest, here):
    os.chown(here, 1234, 2345)
    ctl.ok("cp", guest, here)
    st = os.stat(here)
    assert (st.st_uid, st.st_gid, mode(here)) == (1234, 2345, 0o640) and here.read_bytes() == NEW
    ctl.ok("cp", "-p", guest, here)
    st = os.stat(here)
    assert (st.st_uid, st.st_gid, mode(here)) == (1234, 2345, 0o755)


@pytest.mark.parametrize("options", [[], ["-p"]])
def test_a_file_keeps_its_other_names(ctl, guest, here, options):
    os.link(here, here.parent / "other")
    number = os.stat(here).st_ino
    ctl.ok("cp", *options, guest, here)
    assert here.read_bytes() == (here.parent / "other").read_bytes() == NEW
    assert os.stat(here).st_ino == os.stat(here.parent / "other").st_ino == number
    assert mode(here) == (0o755 if options else 0o640)
    assert (os.stat(here).st_mtime_ns == 981173106789012345) is bool(options)
    assert sorted(os.listdir(here.parent)) == ["here", "other"]


def test_a_shorter_file_in_place_leaves_nothing_of_the_longer_one(ctl, guest, here):
    here.write_bytes(b"o" * 100000)
    os.link(here, here.parent / "other")
    ctl.ok("cp", guest, here)
    assert here.read_bytes() == NEW


def test_who_was_shut_out_by_an_acl_stays_shut_out(ctl, guest, here):
    set_acl("-m", "u:1234:rw,g::-,m::rw", here)
    before = acl(here)
    ctl.ok("cp", guest, here)
    assert acl(here) == before and b"user:1234:rw-" in before and b"group::---" in before
    assert here.read_bytes() == NEW


def test_a_file_without_an_acl_gets_none_of_its_directory(ctl, guest, here):
    set_acl("-d", "-m", "u:1234:rwx", here.parent)
    before = acl(here)
    ctl.ok("cp", guest, here)
    assert acl(here) == before and b"1234" not in before and mode(here) == 0o640
    ctl.ok("cp", guest, here.parent / "new")
    assert b"1234" in acl(here.parent / "new")      # as a new file does


def test_attributes_stay_but_none_that_vouches_for_what_was_in_it(ctl, guest, here):
    os.setxattr(here, "trusted.note", b"kept")
    os.setxattr(here, "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
    ctl.ok("cp", guest, here)
    assert os.getxattr(here, "trusted.note") == b"kept"
    assert "security.capability" not in os.listxattr(here)


@pytest.mark.parametrize("links", [1, 2])
def test_set_id_bits_do_not_stay_over_what_a_guest_says(ctl, guest, here, links):
    if links == 2:
        os.link(here, here.parent / "other")
    os.chmod(here, 0o6750)
    ctl.ok("cp", guest, here)
    assert mode(here) == 0o750 and here.read_bytes() == NEW


def test_a_link_takes_the_place_of_a_file_at_once(ctl, tmp_path, here):
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "here").symlink_to("target")
    ctl.ok("cp", "-r", "vm:%s/." % (tmp_path / "tree"), here.parent)
    assert os.readlink(here) == "target" and os.listdir(here.parent) == ["here"]


class Mounted(Ctl):
    """The client in a mount namespace of its own, in which SCRIPT was run."""

    def __init__(self, agent, script):
        super().__init__(agent.path)
        self.script = script

    def argv(self, *args):
        return ["unshare", "-m", "--propagation", "private", "sh", "-ec", self.script + '\nexec "$@"', "sh",
                *super().argv(*args)]


def test_what_is_mounted_on_is_written_into(agent, guest, here):
    (here.parent / "below").write_text("longer than what is new")
    os.chmod(here.parent / "below", 0o600)
    Mounted(agent, "mount --bind %s %s" % (here.parent / "below", here)).ok("cp", guest, here)
    assert (here.parent / "below").read_bytes() == NEW and mode(here.parent / "below") == 0o600
    assert here.read_text() == "old" and sorted(os.listdir(here.parent)) == ["below", "here"]


@pytest.mark.parametrize("links", [1, 2])
def test_a_disk_that_is_full_leaves_the_old_file(agent, tmp_path, here, links):
    """Also where the old file is to be written into, which needs its room once more."""
    (tmp_path / "big").write_bytes(b"x" * (1400000 if links == 1 else 700000))
    done = Mounted(agent, """mount -t tmpfs -o size=1M none {d}
echo old >{d}/here; [ {links} = 1 ] || ln {d}/here {d}/other
trap 'cat {d}/here; ls -A {d}' EXIT; "$@"; exit""".format(d=here.parent, links=links)).run(
        "cp", "vm:%s" % (tmp_path / "big"), here)
    assert done.code == 1 and "No space left on device" in done.text
    assert done.stdout.split() == [b"old", b"here", b"other"][:1 + links]
