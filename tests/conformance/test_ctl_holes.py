# SPDX-License-Identifier: MIT
"""vmm-guest-ctl cp of files with holes, into the guest."""

import os

import pytest

import codec
from client import Ctl, FakeAgent

MIB = 1 << 20

# (where, what) in a file of so many bytes.
SHAPES = {
    "all": ([], 9 * MIB),
    "in front": ([(8 * MIB, b"end")], 8 * MIB + 3),
    "last": ([(0, b"begin")], 9 * MIB + 1),
    "everywhere": ([(MIB, b"x" * 300000), (4 * MIB, b"y"), (6 * MIB, b"z" * MIB)], 11 * MIB),
}


def make(path, shape):
    parts, size = SHAPES[shape]
    with open(path, "wb") as f:
        for at, data in parts:
            f.seek(at)
            f.write(data)
        f.truncate(size)
    return path


def room(path):
    return os.stat(path).st_blocks * 512


def same(path, other):
    with open(path, "rb") as f, open(other, "rb") as g:
        return f.read() == g.read()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("how", [(), ("-r",), ("-a",)])
def test_what_is_sparse_here_is_sparse_there(agent, tmp_path, how, shape):
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    here = make(str(tmp_path / "here/f"), shape)
    source = str(tmp_path / "here") + "/." if how else here
    Ctl(agent.path).ok("cp", *how, source, "vm:" + str(tmp_path / "there") + "/")
    there = str(tmp_path / "there/f")
    assert same(here, there) and room(there) <= room(here) + 65536, (room(there), room(here))


class Guest:
    """An agent that tells of these features, and takes files."""

    def __init__(self, *features):
        self.features, self.came, self.asked = list(features), [], []

    def take(self, peer):
        frames = peer.until(codec.FILE_DONE)
        self.came += [frame.type for frame in frames]
        peer.send(codec.FILE_ACK)

    def __call__(self, peer):
        frame = peer.recv()
        while frame is not None:
            self.asked.append(frame.type)
            if frame.type == codec.STATUS_REQ:
                peer.send(codec.STATUS, {"features": self.features, "workers": {"idle": 9}})
                peer.exit(0)
            elif frame.type == codec.FILE_STAT_REQ:
                peer.send(codec.FILE_ERR, b"ENOENT: /x/.")
            elif frame.type == codec.FILE_WRITE_REQ:
                self.take(peer)
            else:
                peer.send(codec.FILE_ACK)
            frame = peer.recv() if frame.payload and frame.json().get("more") else None


@pytest.mark.parametrize("features", [(), ("hole",), ("more",), ("more", "hole")])
@pytest.mark.parametrize("how", [(), ("-r",)])
def test_holes_are_told_to_an_agent_that_knows_them_alone(tmp_path, features, how):
    make(str(tmp_path / "f"), "everywhere")
    guest = Guest("FILE_READ_REQ", "FILE_SET_REQ", *features)
    with FakeAgent(guest) as fake:
        Ctl(fake.path).ok("cp", *how, str(tmp_path if how else tmp_path / "f"), "vm:/x")
    assert (codec.FILE_STAT in guest.came) == ("hole" in features)
    assert guest.asked.count(codec.STATUS_REQ) == 1


def test_what_has_no_hole_is_sent_without_a_question(tmp_path):
    (tmp_path / "f").write_bytes(b"x" * 100000)
    guest = Guest("hole")
    with FakeAgent(guest) as fake:
        Ctl(fake.path).ok("cp", str(tmp_path / "f"), "vm:/x")
    assert codec.STATUS_REQ not in guest.asked and codec.FILE_STAT not in guest.came
