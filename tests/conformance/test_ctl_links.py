# SPDX-License-Identifier: MIT
"""vmm-guest-ctl cp -a of files and symbolic links with several names, into the guest."""

import os

import pytest

import codec
from client import Ctl, FakeAgent, ctl_binary
from faults import inside, mounted


@pytest.fixture
def sides(tmp_path):
    """A tree of files with several names, and a folder that is the guest's."""
    here, there = tmp_path / "here", tmp_path / "there"
    (here / "d/e").mkdir(parents=True)
    there.mkdir()
    for i in range(40):
        (here / ("f%d" % i)).write_bytes(b"%d" % i * 1000)
        os.link(here / ("f%d" % i), here / ("d/g%d" % i))
        os.link(here / ("f%d" % i), here / ("d/e/h%d" % i))
    (here / "single").write_bytes(b"one")
    os.link(here / "single", tmp_path / "outside")
    for i in range(10):
        os.symlink("nowhere%d" % i, here / ("s%d" % i))
        os.link(here / ("s%d" % i), here / ("d/t%d" % i), follow_symlinks=False)
    os.utime(here / "d", (5, 5))
    return str(here), str(there)


def assert_linked(there):
    for i in range(40):
        names = ["%s/%s%d" % (there, name, i) for name in ("f", "d/g", "d/e/h")]
        assert all(os.path.samefile(names[0], name) for name in names) and os.stat(names[0]).st_nlink == 3
        with open(names[1], "rb") as f:
            assert f.read() == b"%d" % i * 1000
    assert os.stat(there + "/single").st_nlink == 1
    for i in range(10):
        assert os.path.samestat(os.lstat("%s/s%d" % (there, i)), os.lstat("%s/d/t%d" % (there, i)))
        assert os.readlink("%s/d/t%d" % (there, i)) == "nowhere%d" % i


@pytest.mark.parametrize("workers", [4, 16], ids=["a connection each", "ahead"])
def test_names_of_one_file_stay_that_with_a(start_agent, sides, workers):
    here, there = sides
    ctl = Ctl(start_agent("--workers=%d" % workers).path)
    for _ in range(2):      # the second time they are there
        ctl.ok("cp", "-a", here, "vm:%s/t" % there)
        there_now = there + "/t" if not os.path.exists(there + "/t/here") else there + "/t/here"
        assert_linked(there_now)
    assert os.stat(there + "/t/d").st_mtime == 5


def test_without_a_each_name_is_a_file(agent, sides):
    here, there = sides
    Ctl(agent.path).ok("cp", "-rp", here, "vm:%s/t" % there)
    assert os.stat(there + "/t/f0").st_nlink == os.lstat(there + "/t/s0").st_nlink == 1


def test_names_that_are_given_stay_one_file_too(agent, sides):
    here, there = sides
    Ctl(agent.path).ok("cp", "-a", here + "/f0", here + "/d/g0", here + "/f1", "vm:%s/" % there)
    assert os.path.samefile(there + "/f0", there + "/g0") and os.stat(there + "/f1").st_nlink == 1


def test_symbolic_links_that_are_given_stay_one_too(agent, sides):
    here, there = sides
    Ctl(agent.path).ok("cp", "-a", here + "/s0", here + "/d/t0", here + "/s1", "vm:%s/" % there)
    assert os.path.samestat(os.lstat(there + "/s0"), os.lstat(there + "/t0"))
    assert os.readlink(there + "/t0") == "nowhere0" and os.lstat(there + "/s1").st_nlink == 1


def test_what_can_not_be_linked_is_copied(start_agent, monkeypatch, tmp_path, sides):
    """As the target of one is on another file system."""
    here, there = sides
    monkeypatch.setenv("VMM_GUEST_CTL", ctl_binary())
    mounted(monkeypatch, tmp_path, "mkdir -p $D/there/t/d && mount -t tmpfs none $D/there/t/d")
    agent = start_agent("--workers=16")
    Ctl(agent.path).ok("cp", "-a", here + "/.", "vm:%s/t" % there)
    for i in range(40):
        with open(inside(agent, "%s/t/f%d" % (there, i)), "rb") as f, \
                open(inside(agent, "%s/t/d/g%d" % (there, i)), "rb") as g:
            assert f.read() == g.read() == b"%d" % i * 1000
    assert os.readlink(inside(agent, there + "/t/s0")) == os.readlink(inside(agent, there + "/t/d/t0")) == "nowhere0"


def test_where_the_first_name_fails_the_others_are_copied(agent, sides):
    here, there = sides
    for name in ("f0", "d/g0", "d/e/h0"):
        os.makedirs("%s/t/%s" % (there, name))      # of which at least one comes first
    os.rmdir(there + "/t/d/g0")
    os.rmdir(there + "/t/d/e/h0")
    done = Ctl(agent.path).run("cp", "-a", here + "/.", "vm:%s/t" % there)
    assert done.code == 1 and done.text.count("\n") == 1 and "/t/f0" in done.text, done
    for name in ("d/g0", "d/e/h0"):
        with open("%s/t/%s" % (there, name), "rb") as f:
            assert f.read() == b"0" * 1000


@pytest.mark.parametrize("features", [(), ("more",)])
def test_an_agent_that_knows_no_links_gets_each_name_as_a_file(sides, features):
    asked = []

    def script(peer):
        frame = peer.recv()
        while frame is not None:
            asked.append(frame.type)
            if frame.type == codec.STATUS_REQ:
                peer.send(codec.STATUS, {"features": ["FILE_READ_REQ", "FILE_SET_REQ", *features],
                                         "workers": {"idle": 9}})
                peer.exit(0)
            elif frame.type == codec.FILE_STAT_REQ:
                peer.send(codec.FILE_ERR, b"ENOENT: /x/.")
            else:
                if frame.type == codec.FILE_WRITE_REQ:
                    peer.until(codec.FILE_DONE)
                peer.send(codec.FILE_ACK)
            frame = peer.recv() if frame.payload and frame.json().get("more") else None

    with FakeAgent(script) as fake:
        Ctl(fake.path).ok("cp", "-a", sides[0], "vm:/x")
    assert codec.FILE_LINK_REQ not in asked and asked.count(codec.FILE_WRITE_REQ) == 121
    assert asked.count(codec.FILE_SYMLINK_REQ) == 20
