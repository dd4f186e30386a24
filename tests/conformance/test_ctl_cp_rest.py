# SPDX-License-Identifier: MIT
"""vmm-guest-ctl cp: what is said, what stays as it was, and what is made on the way."""

import json
import os
import shutil
import stat

import pytest

import codec
from agent import descriptors, wait_until
from client import Ctl, FakeAgent


@pytest.fixture
def ctl(agent):
    return Ctl(agent.path)


@pytest.fixture
def sides(tmp_path):
    """A folder that is the guest's, and one that is ours."""
    (tmp_path / "there").mkdir()
    (tmp_path / "here").mkdir()
    return str(tmp_path / "there"), str(tmp_path / "here")


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def read(path):
    with open(path, "rb") as file:
        return file.read()


# ---- parents -------------------------------------------------------------------------


def test_parents_are_made_on_both_sides(ctl, sides):
    there, here = sides
    write(here + "/f", b"data")
    ctl.ok("cp", here + "/f", "vm:" + there + "/a/b/f")
    assert read(there + "/a/b/f") == b"data"
    ctl.ok("cp", "vm:" + there + "/a/b/f", here + "/c/d/f")
    ctl.ok("cp", "vm:" + there + "/a/b/f", here + "/new/")
    ctl.ok("cp", "-r", "vm:" + there + "/a", here + "/x/y")
    assert read(here + "/c/d/f") == read(here + "/new/f") == read(here + "/x/y/b/f") == b"data"
    assert b"what is missing of the way to TARGET is made" in ctl.ok("cp", "--help")


def test_no_parent_is_made_for_what_is_not_there(ctl, sides):
    there, here = sides
    assert ctl.run("cp", "vm:" + there + "/none", here + "/p/q/f").code == 1
    assert os.listdir(here) == []


# ---- what is said --------------------------------------------------------------------


def test_v_says_each_file_in_both_directions(ctl, sides):
    there, here = sides
    os.makedirs(here + "/t/d")
    write(here + "/t/d/f", b"x")
    os.symlink("f", here + "/t/d/l")
    out = ctl.ok("cp", "-rv", here + "/t", "vm:" + there).decode()
    assert sorted(out.splitlines()) == sorted(
        "%s/%s -> vm:%s/%s" % (here, n, there, n) for n in ("t", "t/d", "t/d/f", "t/d/l"))
    out = ctl.ok("cp", "-rv", "vm:" + there + "/t", here + "/u").decode()
    assert "vm:%s/t/d/f -> %s/u/d/f\n" % (there, here) in out
    assert "vm:%s/t/d/l -> %s/u/d/l\n" % (there, here) in out


def test_v_keeps_out_of_what_goes_to_standard_output(ctl, sides):
    there, _ = sides
    write(there + "/f", b"data")
    assert ctl.ok("cp", "-v", "vm:" + there + "/f", "-") == b"data"


def test_a_dot_at_the_end_is_not_shown(ctl, sides):
    there, here = sides
    os.makedirs(here + "/t")
    write(here + "/t/f", b"x")
    out = ctl.ok("cp", "-rv", here + "/t/.", "vm:" + there + "/n/").decode()
    assert "/." not in out and "vm:%s/n/f" % there in out, out
    done = ctl.run("cp", here + "/t/f", "vm:/" + "x" * 256)
    assert done.code == 1 and "vm:/xxx" in done.text and "/." not in done.text, done


@pytest.mark.parametrize("end", ["", "/", "/.", "//"])
def test_a_slash_at_the_end_is_not_shown_twice(ctl, sides, end):
    there, here = sides
    os.makedirs(here + "/t")
    os.mkfifo(here + "/t/fifo")
    os.makedirs(there + "/u")
    os.mkfifo(there + "/u/fifo")
    done = ctl.run("cp", "-r", here + "/t" + end, "vm:" + there + "/t")
    assert done.code == 1 and ": %s/t/fifo is left out" % here in done.text, done
    done = ctl.run("cp", "-r", "vm:" + there + "/u" + end, here + "/u")
    assert done.code == 1 and ": vm:%s/u/fifo is left out" % there in done.text, done


def test_the_limit_of_an_upload_is_said_in_mib_with_its_option():
    def script(peer):
        frame = peer.recv()
        if frame.type == codec.FILE_STAT_REQ:
            peer.send(codec.FILE_ERR, b"ENOENT: /x/.")
        else:
            peer.until(codec.FILE_DONE)
            peer.send(codec.FILE_ERR, b"EFBIG: file too large (>268435456 bytes)")
    with FakeAgent(script) as fake:
        done = Ctl(fake.path).run("cp", "-", "vm:/x", input=b"data")
    assert done.code == 1 and "256 MiB" in done.text and "max_file_mib" in done.text, done


class Limited:
    """An agent that takes files of up to so many MiB, and tells so or not."""

    def __init__(self, mib, tells=True):
        self.mib, self.tells, self.asked = mib, tells, []

    def __call__(self, peer):
        frame = peer.recv()
        self.asked.append(frame.type)
        if frame.type == codec.STATUS_REQ:
            peer.send(codec.STATUS, dict({"max_file_bytes": self.mib << 20} if self.tells else {},
                                         features=["FILE_READ_REQ", "FILE_SET_REQ"]))
            peer.exit(0)
        elif frame.type == codec.FILE_STAT_REQ:
            peer.send(codec.FILE_ERR, b"ENOENT: /x/.")
        elif frame.type == codec.FILE_MKDIR_REQ:
            peer.send(codec.FILE_ACK)
        elif sum(len(more.payload) for more in peer.until(codec.FILE_DONE)) > self.mib << 20:
            peer.send(codec.FILE_ERR, b"EFBIG: file too large (>%d bytes)" % (self.mib << 20))
        else:
            peer.send(codec.FILE_ACK)


def test_a_file_that_is_too_large_is_told_of_before_anything_of_it_is_sent(tmp_path):
    write(str(tmp_path / "f"), b"x" * (3 << 20))
    agent = Limited(2)
    with FakeAgent(agent) as fake:
        done = Ctl(fake.path).run("cp", str(tmp_path / "f"), "vm:/x")
    assert done.code == 1 and "2 MiB" in done.text and "max_file_mib" in done.text, done
    assert codec.FILE_WRITE_REQ not in agent.asked and agent.asked.count(codec.STATUS_REQ) == 1


def test_of_a_tree_what_is_too_large_is_told_of_and_the_rest_is_copied(tmp_path):
    (tmp_path / "t").mkdir()
    for name, size in (("a", 2 << 20), ("b", (2 << 20) + 1), ("c", 0)):
        write(str(tmp_path / "t" / name), b"x" * size)
    agent = Limited(2)
    with FakeAgent(agent) as fake:
        done = Ctl(fake.path).run("cp", "-r", str(tmp_path / "t"), "vm:/x")
    assert done.code == 1 and "vm:/x/b: file too large: the agent takes 2 MiB" in done.text, done
    assert "/a" not in done.text and "/c" not in done.text
    assert agent.asked.count(codec.FILE_WRITE_REQ) == 2 and agent.asked.count(codec.STATUS_REQ) == 1


def test_an_agent_that_does_not_tell_its_limit_is_sent_the_file_and_says_so_then(tmp_path):
    write(str(tmp_path / "f"), b"x" * (3 << 20))
    agent = Limited(2, tells=False)
    with FakeAgent(agent) as fake:
        done = Ctl(fake.path).run("cp", str(tmp_path / "f"), "vm:/x")
    assert done.code == 1 and "2 MiB" in done.text and codec.FILE_WRITE_REQ in agent.asked, done


def test_what_no_limit_forbids_is_sent_without_a_question(tmp_path):
    write(str(tmp_path / "f"), b"x" * (1 << 20))
    agent = Limited(1)
    with FakeAgent(agent) as fake:
        Ctl(fake.path).ok("cp", str(tmp_path / "f"), "vm:/x")
    assert codec.STATUS_REQ not in agent.asked


@pytest.mark.parametrize("args", [("cp", "vm:%s", "-"), ("cat", "%s")])
def test_what_is_not_a_regular_file_is_said_to_be_so(ctl, sides, args):
    there, _ = sides
    os.mkfifo(there + "/p")
    done = ctl.run(*[arg.replace("%s", there + "/p") for arg in args])
    assert done.code == 1 and "not a regular file" in done.text, done


# ---- busy ----------------------------------------------------------------------------


def test_busy_is_waited_out_by_the_first_look_too():
    left = {codec.FILE_STAT_REQ: 2, codec.FILE_READ_REQ: 2, codec.FILE_WRITE_REQ: 2}

    def script(peer):
        frame = peer.recv()
        if left[frame.type] > 0:
            left[frame.type] -= 1
            peer.send(codec.FILE_ERR, b"EBUSY: busy: all workers are in use")
        elif frame.type == codec.FILE_STAT_REQ:
            if frame.json()["path"].endswith("/."):
                peer.send(codec.FILE_ERR, b"ENOENT: /x/.")
            else:
                peer.send(codec.FILE_STAT, json.dumps(peer.entry("x", size=4)).encode())
        elif frame.type == codec.FILE_READ_REQ:
            peer.send(codec.FILE_DATA, b"data")
            peer.send(codec.FILE_DONE)
        else:
            peer.until(codec.FILE_DONE)
            peer.send(codec.FILE_ACK)
    with FakeAgent(script) as fake:
        assert Ctl(fake.path).ok("cp", "vm:/x", "-") == b"data"
        left[codec.FILE_STAT_REQ] = 2
        Ctl(fake.path).ok("cp", "/etc/passwd", "vm:/x")
    assert set(left.values()) == {0}


# ---- -a ------------------------------------------------------------------------------


def test_a_keeps_modes_times_and_links_that_were_named(ctl, sides):
    there, here = sides
    write(here + "/f", b"x")
    os.chmod(here + "/f", 0o640)
    os.utime(here + "/f", (0, 1000))
    os.symlink("f", here + "/l")
    ctl.ok("cp", "-a", here + "/f", here + "/l", "vm:" + there)
    st = os.stat(there + "/f")
    assert stat.S_IMODE(st.st_mode) == 0o640 and st.st_mtime == 1000
    assert os.readlink(there + "/l") == "f"
    ctl.ok("cp", "-a", "vm:" + there + "/l", here + "/back/l")
    assert os.readlink(here + "/back/l") == "f"
    ctl.ok("cp", "vm:" + there + "/l", here + "/plain")
    assert not os.path.islink(here + "/plain")


@pytest.mark.parametrize("end", ["/", "/."])
def test_a_link_with_a_slash_or_dot_behind_it_is_the_directory_for_a_too(ctl, sides, end):
    there, here = sides
    for side in there, here:
        os.makedirs(side + "/d")
        write(side + "/d/f", b"x")
        os.symlink("d", side + "/l")
    ctl.ok("cp", "-a", here + "/l" + end, "vm:" + there + "/new")
    ctl.ok("cp", "-a", "vm:" + there + "/l" + end, here + "/new")
    for side in there, here:
        assert not os.path.islink(side + "/new") and read(side + "/new/f") == b"x"


def test_a_keeps_files_with_several_names_one(ctl, sides):
    there, here = sides
    os.makedirs(there + "/t/d")
    write(there + "/t/d/one", b"x" * 100)
    os.link(there + "/t/d/one", there + "/t/two")
    write(there + "/t/other", b"y")
    for _ in range(2):              # into a new directory, and into one that is there
        ctl.ok("cp", "-a", "vm:" + there + "/t/.", here + "/t")
        st = os.stat(here + "/t/d/one")
        assert st.st_ino == os.stat(here + "/t/two").st_ino and st.st_nlink == 2
        assert read(here + "/t/two") == b"x" * 100
        shutil.rmtree(here + "/t")
        ctl.ok("cp", "-r", "vm:" + there + "/t", here + "/t")
        assert os.stat(here + "/t/two").st_nlink == 1
    assert sorted(os.listdir(here + "/t")) == ["d", "other", "two"]


def test_a_keeps_symbolic_links_with_several_names_one(ctl, sides):
    there, here = sides
    os.makedirs(there + "/t/d")
    os.symlink("nowhere", there + "/t/d/one")
    os.link(there + "/t/d/one", there + "/t/two", follow_symlinks=False)
    os.symlink("nowhere", there + "/t/other")
    for _ in range(2):              # into a new directory, and into one that is there
        ctl.ok("cp", "-a", "vm:" + there + "/t/.", here + "/t")
        assert os.path.samestat(os.lstat(here + "/t/d/one"), os.lstat(here + "/t/two"))
        assert os.readlink(here + "/t/two") == "nowhere" and os.lstat(here + "/t/other").st_nlink == 1
        shutil.rmtree(here + "/t")
        ctl.ok("cp", "-r", "vm:" + there + "/t", here + "/t")
        assert os.lstat(here + "/t/two").st_nlink == 1
    assert sorted(os.listdir(here + "/t")) == ["d", "other", "two"]


def test_a_keeps_names_that_are_given_one_out_of_the_guest_too(ctl, sides):
    there, here = sides
    write(there + "/one", b"x" * 100)
    os.link(there + "/one", there + "/two")
    os.symlink("nowhere", there + "/l")
    os.link(there + "/l", there + "/m", follow_symlinks=False)
    write(there + "/other", b"y")
    sources = ["vm:%s/%s" % (there, name) for name in ("one", "other", "l", "two", "m")]
    for _ in range(2):
        ctl.ok("cp", "-a", *sources, here)
        assert os.path.samefile(here + "/one", here + "/two") and os.stat(here + "/one").st_nlink == 2
        assert os.path.samestat(os.lstat(here + "/l"), os.lstat(here + "/m"))
        assert os.readlink(here + "/m") == "nowhere"
        assert read(here + "/two") == b"x" * 100 and read(here + "/other") == b"y"
        assert sorted(os.listdir(here)) == ["l", "m", "one", "other", "two"]
    os.mkdir(here + "/plain")
    ctl.ok("cp", "-p", *sources[:2], sources[3], here + "/plain")
    assert os.stat(here + "/plain/two").st_nlink == 1


@pytest.mark.parametrize("address", ["unix:/run/vm/none.vsock", "vsock:3"])
def test_an_address_behind_a_is_told_where_it_goes(ctl, sides, address):
    for args in ((sides[1], "vm:/x"), ("vm:/x", sides[1])):
        done = ctl.run("cp", "-a", address, *args)
        assert done.code == 2 and "goes before 'cp'" in done.text, done


# ---- files here ----------------------------------------------------------------------


def test_a_file_with_holes_has_them_here_too(ctl, sides):
    there, here = sides
    with open(there + "/sparse", "wb") as file:
        file.write(b"begin")
        file.truncate(8 << 20)
        file.seek(4 << 20)
        file.write(b"middle")
    ctl.ok("cp", "vm:" + there + "/sparse", here + "/sparse")
    assert read(here + "/sparse") == read(there + "/sparse")
    assert os.stat(here + "/sparse").st_blocks * 512 < 1 << 20


def test_dev_stdout_is_written_as_it_is(ctl, sides):
    there, here = sides
    write(there + "/f", b"data")
    for name in "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1":
        assert ctl.ok("cp", "vm:" + there + "/f", name) == b"data"
        with open(here + "/out", "wb") as out:
            out.write(b"before ")
            out.flush()
            number = os.fstat(out.fileno()).st_ino
            assert ctl.run("cp", "vm:" + there + "/f", name, stdout=out).code == 0
        assert read(here + "/out") == b"before data"
        assert os.stat(here + "/out").st_ino == number
    assert ctl.run("cp", "vm:" + there + "/f", "/dev/stderr").stderr == b"data"


def test_a_copy_that_is_killed_leaves_nothing(sides):
    _, here = sides

    def script(peer):
        frame = peer.recv()
        if frame.type == codec.FILE_STAT_REQ:
            peer.send(codec.FILE_STAT, json.dumps(peer.entry("x", size=100)).encode())
            return
        peer.send(codec.FILE_DATA, b"half")
        peer.recv()                 # until the client has gone
    with FakeAgent(script) as fake:
        with Ctl(fake.path).start("cp", "vm:/x", here + "/x") as process:
            def has_half():
                assert process.poll() is None
                return any("(deleted)" in name and here in name for name in descriptors(process.pid).values())
            wait_until(has_half, message="a file without a name")
            process.kill()
            process.communicate()
    assert os.listdir(here) == []
