# SPDX-License-Identifier: MIT
"""TREE: all that is at a path, told in one answer."""

import base64
import os

import pytest

import codec
from agent import FileError


class Tree:
    """An answer, taken apart; what the contract says of each is looked at on the way."""

    def __init__(self, frames, root):
        self.frames, self.root = frames, os.fsencode(str(root))
        self.entries, self.errors, self.bytes, self.holes = {}, {}, {}, {}
        self.order = []
        open_file = None
        for frame in frames:
            if frame.type == codec.FILE_STAT and "hole" in frame.json():
                hole = frame.json()["hole"]
                assert frame.json() == {"hole": hole} and hole > 0
                self.holes.setdefault(open_file, []).append((len(self.bytes[open_file]), hole))
                self.bytes[open_file] += bytes(hole)
            elif frame.type == codec.FILE_STAT:
                entry = frame.json()
                path = raw(entry, "path")
                if "error" in entry:
                    assert entry.keys() - {"path_b64"} == {"path", "error"}
                    assert open_file in (None, path)
                    self.errors.setdefault(path, []).append(entry["error"])
                    open_file = None
                    continue
                assert open_file is None and path not in self.entries and "name" not in entry
                assert path == b"" or os.path.dirname(path) in self.entries, "a parent comes first: %r" % path
                assert 0 not in (entry.get("uid"), entry.get("gid")) and entry.get("nlink") != 1
                assert ("symlink_target" in entry) == (entry["kind"] == "symlink")
                self.entries[path] = dict({"uid": 0, "gid": 0, "nlink": 1}, **entry)
                self.order.append(path)
                if entry["kind"] == "file":
                    open_file, self.bytes[path] = path, b""
            elif frame.type == codec.FILE_DATA:
                self.bytes[open_file] += frame.payload
            elif frame.type == codec.FILE_DONE:
                assert len(self.bytes[open_file]) == self.entries[open_file]["size"]
                open_file = None
        assert open_file is None

    def is_as(self, path):
        """Whether the entry at PATH is what is there."""
        entry, there = self.entries[path], os.lstat(os.path.join(self.root, path) if path else self.root)
        kind = {0o040: "dir", 0o100: "file", 0o120: "symlink"}.get(there.st_mode >> 9 & ~7, "other")
        return entry == dict(entry, kind=kind, mode=there.st_mode & 0o7777, uid=there.st_uid, gid=there.st_gid,
                             mtime_secs=there.st_mtime_ns // 10**9, mtime_nanos=there.st_mtime_ns % 10**9,
                             dev=there.st_dev, ino=there.st_ino, nlink=there.st_nlink,
                             size=there.st_size if kind == "file" else 0)


def raw(entry, member):
    """The bytes of a name."""
    if member + "_b64" not in entry:
        assert "\ufffd" not in entry[member]
        return entry[member].encode()
    name = base64.b64decode(entry[member + "_b64"], validate=True)
    assert name.decode(errors="replace").count("\ufffd") <= entry[member].count("\ufffd") > 0
    return name


def tree(agent, path, **members):
    frames = agent.file_request(codec.FILE_TREE_REQ, dict(members, path=str(path)))
    if frames[-1].type == codec.FILE_ERR:
        raise FileError(frames[-1].payload.decode())
    assert frames[-1].type == codec.FILE_ACK
    return Tree(frames[:-1], path)


def all_below(root):
    """The paths below ROOT, and itself, as TREE names them."""
    root = os.fsencode(str(root))
    found = {b""}
    for where, directories, files in os.walk(root):
        found |= {os.path.relpath(os.path.join(where, name), root) for name in directories + files}
    return found


@pytest.fixture
def garden(tmp_path):
    """One of each kind."""
    (tmp_path / "a/b/c").mkdir(parents=True)
    (tmp_path / "a/f").write_bytes(b"hello")
    (tmp_path / "empty").touch()
    (tmp_path / "large").write_bytes(os.urandom(700001))
    (tmp_path / "link").symlink_to("a")
    (tmp_path / "dangling").symlink_to("/nowhere/at/all")
    os.mkfifo(tmp_path / "fifo")
    os.link(tmp_path / "a/f", tmp_path / "a/b/other name")
    os.chmod(tmp_path / "a/f", 0o4751)
    os.chown(tmp_path / "empty", 12, 34)
    os.utime(tmp_path / "a/b", ns=(1, 1234567890123456789))
    return tmp_path


def test_all_of_a_tree_is_told_as_it_is(agent, garden):
    came = tree(agent, garden)
    assert set(came.entries) == all_below(garden) and came.errors == {} and came.holes == {}
    assert all(came.is_as(path) for path in came.entries)
    for path, content in came.bytes.items():
        assert content == open(os.path.join(os.fsencode(garden), path), "rb").read(), path
    assert came.entries[b"link"]["symlink_target"] == "a"
    assert came.entries[b"dangling"]["symlink_target"] == "/nowhere/at/all"
    assert came.entries[b"a/f"]["ino"] == came.entries[b"a/b/other name"]["ino"]
    assert came.order[0] == b""


@pytest.mark.parametrize("name,kind", [("a/f", "file"), ("empty", "file"), ("fifo", "other"), ("link", "symlink"),
                                       ("dangling", "symlink"), ("a/b/c", "dir")])
def test_what_is_not_a_full_directory_is_one_entry(agent, garden, name, kind):
    came = tree(agent, garden / name)
    assert list(came.entries) == [b""] and came.is_as(b"") and came.entries[b""]["kind"] == kind
    assert came.bytes.get(b"") == ((garden / name).read_bytes() if kind == "file" else None)


def test_a_link_with_a_slash_behind_it_is_the_directory(agent, garden):
    assert set(tree(agent, str(garden / "link") + "/").entries) == all_below(garden / "a")


def test_what_is_not_there_is_file_err(agent, garden):
    with pytest.raises(FileError, match="^ENOENT: %s/nope$" % garden):
        tree(agent, garden / "nope")
    with pytest.raises(FileError, match="^ENOTDIR: "):
        tree(agent, garden / "a/f/x")
    with pytest.raises(FileError, match="^EINVAL: member 'max_entries'"):
        tree(agent, garden, max_entries=-1)


def test_names_and_targets_that_are_not_utf8_are_told_byte_by_byte(agent, tmp_path):
    odd = os.fsencode(tmp_path) + b"/\xff\xfe"
    os.mkdir(odd)
    with open(odd + b"/\xc3\n\x01\"", "wb") as f:
        f.write(b"x")
    os.symlink(b"../\xe2\x82", odd + b"/l")
    came = tree(agent, tmp_path)
    assert set(came.entries) == all_below(tmp_path)
    assert raw(came.entries[b"\xff\xfe/l"], "symlink_target") == b"../\xe2\x82"
    assert came.bytes[b"\xff\xfe/\xc3\n\x01\""] == b"x"


@pytest.mark.parametrize("most", [0, 1, 5, 8])
def test_more_entries_than_the_host_wants_are_e2big_behind_so_many(agent, garden, most):
    frames = agent.file_request(codec.FILE_TREE_REQ, {"path": str(garden), "max_entries": most})
    assert frames[-1].type == codec.FILE_ERR and frames[-1].payload.decode().startswith("E2BIG: %s: " % garden)
    assert len(Tree(frames[:-1], garden).entries) == most


def test_as_many_entries_as_the_host_wants_are_no_error(agent, garden):
    assert len(tree(agent, garden, max_entries=len(all_below(garden))).entries) == len(all_below(garden))
