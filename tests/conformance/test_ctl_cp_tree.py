# SPDX-License-Identifier: MIT
"""vmm-guest-ctl cp -r out of a guest that tells of a tree in one answer: what comes of it, and
what does not where the guest is an attacker's."""

import base64
import os
import resource
import signal
import stat
import subprocess
import tempfile
import threading

import pytest

import codec
from agent import wait_until
from client import Ctl, FakeAgent
from test_ctl_agents import has_open
from test_ctl_hostile import peer_entry, run_measured


@pytest.fixture
def ctl(agent):
    return Ctl(agent.path)


def told(path, kind="file", target="", **more):
    entry = peer_entry(path, kind=kind, symlink_target=target, mode=0o755, **more)
    del entry["name"]
    return (codec.FILE_STAT, {"path": path, "dev": 1, "ino": 1, "nlink": 1, **entry})


def file(path, data=b"evil", **more):
    return [told(path, size=len(data), **more), (codec.FILE_DATA, data), (codec.FILE_DONE, b"")]


TOP = told("", "dir")
END = (codec.FILE_ACK, b"")


def serving(*frames, asked=None):
    """A script that tells FRAMES of the directory /t, and of older requests nothing."""
    def script(peer):
        frame = peer.recv()
        if frame.type == codec.FILE_STAT_REQ:
            peer.send(codec.FILE_STAT, peer_entry("t", kind="dir", mode=0o755))
        elif frame.type == codec.FILE_TREE_REQ:
            if asked is not None:
                asked.append(frame.json())
            for kind, payload in frames:
                peer.send(kind, payload)
            peer.recv()
        else:
            assert frame.type == codec.STATUS_REQ, frame
            peer.send(codec.STATUS, {"features": []})
            peer.exit(0)
    return script


def run(script, *args, **more):
    with FakeAgent(script) as fake:
        return Ctl(fake.path).run("cp", "-r", *args, **more)


def tree_here(top):
    return sorted(os.path.relpath(os.path.join(folder, name), top)
                  for folder, folders, files in os.walk(top) for name in folders + files)


# ---- what comes of it ------------------------------------------------------------------------


def test_a_tree_is_one_request(tmp_path):
    asked = []
    script = serving(TOP, told("d", "dir"), *file("d/f", b"1"), told("d/l", "symlink", "f"), *file("g", b""), END, asked=asked)
    with FakeAgent(script) as fake:
        Ctl(fake.path).ok("cp", "-r", "vm:/t", tmp_path / "t")
        assert fake.ports == [53, 53]           # STAT, then TREE
    assert asked == [{"path": "/t", "one_file_system": False}]
    assert tree_here(tmp_path / "t") == ["d", "d/f", "d/l", "g"]
    assert (tmp_path / "t" / "d" / "f").read_bytes() == b"1" and os.readlink(tmp_path / "t" / "d" / "l") == "f"


def test_names_and_links_that_are_not_utf8_come_as_they_are(ctl, tmp_path):
    (tmp_path / "guest").mkdir()
    top = os.fsencode(tmp_path / "guest")
    os.mkdir(top + b"/d\xff")
    with open(top + b"/d\xff/f\xfe", "wb") as f:
        f.write(b"x")
    os.symlink(b"\xfd", top + b"/l")
    ctl.ok("cp", "-r", "vm:%s" % (tmp_path / "guest"), tmp_path / "here")
    here = os.fsencode(tmp_path / "here")
    assert sorted(os.listdir(here)) == [b"d\xff", b"l"] and os.listdir(here + b"/d\xff") == [b"f\xfe"]
    assert os.readlink(here + b"/l") == b"\xfd"


@pytest.mark.parametrize("options", [[], ["-p"]])
def test_a_file_with_holes_has_them_here_too(ctl, tmp_path, options):
    (tmp_path / "guest").mkdir()
    parts = [(0, b""), (1 << 20, b"a" * 4096), (8 << 20, b"b"), (16 << 20, b"")]     # where, what; the end
    for name, shown in (("some", parts), ("all", parts[:1] + parts[3:])):
        with open(tmp_path / "guest" / name, "wb") as f:
            for at, data in shown:
                f.seek(at)
                f.write(data)
            f.truncate()
    ctl.ok("cp", "-r", *options, "vm:%s" % (tmp_path / "guest"), tmp_path / "here")
    for name in ("some", "all"):
        here = tmp_path / "here" / name
        assert here.read_bytes() == (tmp_path / "guest" / name).read_bytes()
        assert os.stat(here).st_blocks * 512 < 1 << 20, name


def test_a_link_that_is_named_is_followed_to_its_directory(ctl, tmp_path):
    (tmp_path / "guest").mkdir()
    (tmp_path / "guest" / "f").write_text("x")
    (tmp_path / "link").symlink_to("guest")
    ctl.ok("cp", "-r", "vm:%s" % (tmp_path / "link"), tmp_path / "here")
    assert os.listdir(tmp_path / "here") == ["f"] and not (tmp_path / "here").is_symlink()


def test_each_file_that_fails_is_named_and_the_others_come(tmp_path):
    script = serving(
        TOP, (codec.FILE_STAT, {"path": "a", "error": "EACCES"}), told("d", "dir"),
        (codec.FILE_STAT, {"path": "d", "error": "EIO"}), told("b", size=9), (codec.FILE_DATA, b"half"),
        (codec.FILE_STAT, {"path": "b", "error": "EIO"}), (codec.FILE_STAT, {"path": "c", "error": "EODD"}),
        told("fifo", "other"), *file("g"), END)
    done = run(script, "vm:/t", tmp_path / "t")
    assert done.code == 1 and sorted(done.text.splitlines()) == sorted("vmm-guest-ctl: vm:/t/" + words for words in (
        "a: Permission denied", "d: Input/output error", "b: Input/output error", "c: EODD",
        "fifo is left out: it is not a file, directory or link"))
    assert tree_here(tmp_path / "t") == ["d", "g"]


def test_files_that_break_take_no_descriptor_with_them(tmp_path):
    broken = [frame for i in range(100) for frame in (
        told("%d" % i, size=9), (codec.FILE_DATA, b"half"), (codec.FILE_STAT, {"path": "%d" % i, "error": "EIO"}))]
    done = run(serving(TOP, *broken, *file("good"), END), "vm:/t", tmp_path / "t",
               preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (50, 50)))
    assert done.code == 1 and done.text.count("Input/output error") == done.text.count("\n") == 100
    assert tree_here(tmp_path / "t") == ["good"]


def test_what_is_in_the_way_is_named_and_nothing_of_it_is_gone_through(tmp_path):
    here = tmp_path / "t"
    (here / "file").mkdir(parents=True)
    (here / "dir").write_text("mine")
    (here / "link").mkdir()
    script = serving(TOP, *file("file"), told("dir", "dir"), *file("dir/x"), told("dir/y", "dir"), *file("dir/y/z"),
                     told("link", "symlink", "x"), *file("last"), END)
    done = run(script, "vm:/t", tmp_path)
    assert done.code == 1 and sorted(done.text.splitlines()) == [
        "vmm-guest-ctl: %s: Not a directory" % (here / "dir"),
        "vmm-guest-ctl: %s: Is a directory" % (here / "link"),
        "vmm-guest-ctl: can't write to %s: Is a directory" % (here / "file")]
    assert tree_here(here) == ["dir", "file", "last", "link"] and (here / "dir").read_text() == "mine"


def test_a_file_that_does_not_fit_is_left_out_and_the_others_come(tmp_path):
    script = serving(TOP, *file("a", b"x" * 100), *file("b", b"x" * 10),
                     told("c", size=1 << 40), (codec.FILE_STAT, {"hole": 1 << 40}), (codec.FILE_DONE, b""), *file("d"), END)
    done = run(script, "vm:/t", tmp_path / "t", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50, 50)))
    assert done.code == 1 and done.text.count("File too large") == 2
    assert tree_here(tmp_path / "t") == ["b", "d"]


def test_an_agent_that_is_busy_is_asked_again(tmp_path):
    tries = []

    def script(peer):
        tries.append(peer)
        if len(tries) == 2:
            peer.recv()
            peer.send(codec.FILE_ERR, b"EBUSY: no worker to spare")
        else:
            serving(TOP, *file("f"), END)(peer)
    assert run(script, "vm:/t", tmp_path / "t").code == 0
    assert tree_here(tmp_path / "t") == ["f"] and len(tries) == 3


# ---- what ends early ---------------------------------------------------------------------------


@pytest.mark.parametrize("frames", [
    [], [told("half", size=9), (codec.FILE_DATA, b"hal")],
    [(codec.FILE_ERR, b"EIO: worker lost")], [told("half", size=9), (codec.FILE_ERR, b"EIO: worker lost")],
    [(codec.FILE_DATA, b"no file")], [(codec.FILE_DONE, b"")], [(codec.FILE_STAT, {"hole": 1})],
    [told("half", size=9), told("next")], [told("half", size=9), END], [told("d", "dir"), (codec.FILE_DATA, b"of d")],
    [(codec.FILE_STAT, b"[]")], [(codec.FILE_STAT, b'{"path":"\\u0000x","kind":"file"}')], [(codec.FILE_LIST, b"[]")],
    [(codec.FILE_STAT, b'{"path":"x","pad":"%s"}' % (b"x" * (1 << 20)))],
    [told("x/" * (1 << 20), "dir")], [told("x", "symlink", "x" * (3 << 20))],
    [(codec.FILE_STAT, {"path": "x", "kind": "file", "path_b64": base64.b64encode(b"a\0b").decode()})],
])
def test_a_tree_that_is_not_whole_is_no_success_and_leaves_whole_files(tmp_path, frames):
    script = serving(TOP, *file("good", b"whole"), *frames)

    def closing(peer):
        peer.recv_later, peer.recv = peer.recv, lambda: None if peer.begun else first(peer)
        peer.begun = False
        script(peer)

    def first(peer):
        peer.begun = True
        return peer.recv_later()
    done = run(closing, "vm:/t", tmp_path / "t")
    assert done.code == 1 and done.text.count("\n") == 1
    found = tree_here(tmp_path / "t")
    assert found in (["good"], ["d", "good"]) and (tmp_path / "t" / "good").read_bytes() == b"whole"


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_tree_by_one_answer_leaves_whole_files_and_no_others(tmp_path, sig):
    begun = threading.Event()

    def script(peer):
        serving(TOP, told("d", "dir", mtime_secs=5), *file("d/f"), told("d/half", size=9), (codec.FILE_DATA, b"hal"))(peer)
        begun.set()
    with FakeAgent(script) as fake:
        with Ctl(fake.path).start("cp", "-rp", "vm:/t", tmp_path / "t") as process:
            wait_until(lambda: (tmp_path / "t" / "d" / "f").exists() and has_open(process, tmp_path / "t" / "d"),
                       message="half of a file")
            process.send_signal(sig)
            assert process.wait(20) == -sig
    assert tree_here(tmp_path / "t") == ["d", "d/f"]
    st = os.stat(tmp_path / "t" / "d")
    assert (stat.S_IMODE(st.st_mode), st.st_mtime) == (0o755, 5)


# ---- a guest that means harm -----------------------------------------------------------------


@pytest.mark.parametrize("path", [
    "../evil", "/etc/evil", "..", ".", "", "d/..", "d/../../evil", "./x", "d//x", "d/", "/", "d/./x", "x/y", "d/n/x", "f/x", "l/x",
    "gone/x"])
@pytest.mark.parametrize("kind", ["file", "dir", "symlink"])
def test_a_path_that_leads_elsewhere_is_refused(tmp_path, path, kind):
    """d is a directory, f a file, l a link out of the tree, gone a directory that was left."""
    victim = tmp_path / "victim"
    victim.mkdir()
    frames = [TOP, told("gone", "dir"), *file("f"), told("l", "symlink", str(victim)), told("d", "dir"),
              *(file(path) if kind == "file" else [told(path, kind, target="x")]), *file("d/good"), *file("good"), END]
    done = run(serving(*frames), "vm:/t", tmp_path / "in")
    assert done.code == 1 and done.text.count("\n") == 1
    assert "is not the name of a file" in done.text or "is in no directory that came" in done.text
    assert sorted(os.listdir(tmp_path)) == ["in", "victim"] and os.listdir(victim) == []
    assert tree_here(tmp_path / "in") == ["d", "d/good", "f", "gone", "good", "l"]


def test_a_path_that_leads_elsewhere_in_base64_is_refused(tmp_path):
    evil = told("x", path_b64=base64.b64encode(b"../evil\xff").decode())
    done = run(serving(TOP, evil, (codec.FILE_DONE, b""), *file("good"), END), "vm:/t", tmp_path / "t")
    assert done.code == 1 and "is not the name of a file" in done.text and tree_here(tmp_path) == ["t", "t/good"]


def test_a_tree_that_does_not_begin_with_its_top_is_refused(tmp_path):
    done = run(serving(*file("x"), END), "vm:/t", tmp_path / "t")
    assert done.code == 1 and "is in no directory that came" in done.text and tree_here(tmp_path / "t") == []


@pytest.mark.parametrize("kind", ["file", "dir"])
def test_a_top_that_became_something_else_is_no_directory(tmp_path, kind):
    top = told("", "symlink" if kind == "dir" else "file", target="x")
    done = run(serving(top, END), "vm:/t", tmp_path / "t")
    assert done.code == 1 and "vm:/t: Not a directory" in done.text


TWICE = {"file": lambda path: file(path), "dir": lambda path: [told(path, "dir"), *file(path + "/in")],
         "symlink": lambda path: [told(path, "symlink", "victim")]}


@pytest.mark.parametrize("first", TWICE)
@pytest.mark.parametrize("then", TWICE)
@pytest.mark.parametrize("folder", ["", "d/"])
def test_a_path_that_comes_twice_is_refused(tmp_path, first, then, folder):
    """What came first stands: a link is not gone through, and nothing is replaced."""
    (tmp_path / "victim").mkdir()
    def at(name): return (tmp_path / "t" / folder / name)
    frames = [TOP, told("d", "dir"), *TWICE[first](folder + "x"), *TWICE[then](folder + "x"), *file(folder + "good"), END]
    done = run(serving(*frames), "vm:/t", tmp_path / "t")
    assert done.code == 1 and "'x' comes twice" in done.text and done.text.count("\n") == 1
    assert at("good").exists() and os.listdir(tmp_path / "victim") == []
    assert (at("x").is_symlink(), at("x").is_dir()) == (first == "symlink", first == "dir")


def test_in_a_directory_that_was_there_a_link_that_came_is_not_followed(tmp_path):
    """There a file takes the place of a link, and a link that of a file, as in any copy."""
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "f").write_text("mine")
    (tmp_path / "t").mkdir()
    script = serving(TOP, told("x", "symlink", str(victim)), told("x", "dir"), *file("x/f"), *file("x/g"),
                     told("y", "symlink", str(victim / "f")), *file("y"), *file("good"), END)
    done = run(script, "vm:/t", tmp_path)
    assert done.code == 1 and os.listdir(victim) == ["f"] and (victim / "f").read_text() == "mine"
    assert (tmp_path / "t" / "x").is_symlink() and (tmp_path / "t" / "good").exists()


@pytest.mark.parametrize("kind", ["file", "dir"])
@pytest.mark.parametrize("again", ["in one copy", "in the next one", "in the next one, without -a"])
def test_a_link_that_came_in_the_named_directory_is_not_followed_by_another_source(tmp_path, kind, again):
    """The guest tells of a link, and under the same name of a file or a directory for where it leads."""
    victim = tmp_path / "victim"
    (tmp_path / "t").mkdir()
    (victim.mkdir if kind == "dir" else lambda: victim.write_text("mine"))()
    def script(peer):
        frame = peer.recv()
        if frame.type == codec.FILE_STAT_REQ:
            is_link = frame.json()["path"].startswith("/a")
            peer.send(codec.FILE_STAT, peer_entry("x", kind="symlink" if is_link else kind, symlink_target=str(victim)))
        elif frame.type == codec.FILE_TREE_REQ:
            for answer in [TOP, *file("f"), END]:
                peer.send(*answer)
            peer.recv()
        else:
            assert frame.type == codec.FILE_READ_REQ, frame
            peer.send(codec.FILE_DATA, b"evil")
            peer.send(codec.FILE_DONE)
    with FakeAgent(script) as fake:
        ctl = Ctl(fake.path)
        if again == "in one copy":
            done = ctl.run("cp", "-a", "vm:/a/x", "vm:/b/x", tmp_path / "t")
        else:
            assert ctl.run("cp", "-a", "vm:/a/x", tmp_path / "t").code == 0
            done = ctl.run("cp", "-r" if "without" in again else "-a", "vm:/b/x", tmp_path / "t")
    assert (tmp_path / "t" / "x").is_symlink()
    assert os.listdir(victim) == [] if kind == "dir" else victim.read_text() == "mine"
    assert done.code == 1 and "t/x is a symbolic link" in done.text and done.text.count("\n") == 1


def test_more_than_the_user_wants_is_not_taken(tmp_path):
    for i, frames in enumerate((
            [*file("a", b"x" * 600), *file("b", b"x" * 600)], [told("a"), *[(codec.FILE_DATA, b"x" * 100)] * 11],
            [told("a"), (codec.FILE_STAT, {"hole": 1025})], [told("a"), (codec.FILE_STAT, {"hole": 2**63 - 1})],
            [*file("../a", b"x" * 600), *file("../b", b"x" * 600)])):
        done = run(serving(TOP, *frames), "--max-size=1K", "vm:/t", tmp_path / str(i))
        assert done.code == 1 and "sends more than 1.0 KiB in all (--max-size)" in done.text, frames
        assert tree_here(tmp_path / str(i)) == (["a"] if i == 0 else [])
    assert run(serving(TOP, *file("c", b"x" * 1024), END), "--max-size=1K", "vm:/t", tmp_path / "t").code == 0


def test_more_than_the_user_wants_is_not_taken_of_a_file_or_of_an_older_agent(tmp_path):
    def script(peer):
        frame = peer.recv()
        if frame.type == codec.FILE_STAT_REQ:
            peer.send(codec.FILE_STAT, peer_entry("x", kind="dir" if frame.json()["path"] == "/t" else "file"))
        elif frame.type == codec.FILE_TREE_REQ:
            peer.refuse(frame)
        elif frame.type == codec.FILE_LIST_REQ:
            peer.send(codec.FILE_LIST, [peer_entry(name) for name in "abc"])
        else:
            peer.send(codec.FILE_DATA, b"x" * 600)
            peer.send(codec.FILE_DONE)
    for i, args in enumerate((["--max-size=500", "vm:/f"], ["--max-size=1000", "vm:/t"], ["--max-entries=1", "vm:/t"])):
        done = run(script, *args, tmp_path / str(i))
        assert done.code == 1 and "(%s)" % args[0].split("=")[0] in done.text
        assert not (tmp_path / str(i)).exists() if i == 0 else len(os.listdir(tmp_path / str(i))) == 1


def test_more_entries_than_the_user_wants_are_not_taken(tmp_path):
    asked = []
    for i, frames in enumerate(([*file("a"), *file("b"), *file("c")], [told("a", "dir"), told("a/b", "dir"), told("a/b/c", "dir")],
                                [(codec.FILE_STAT, {"path": "x", "error": "EIO"})] * 3)):
        done = run(serving(TOP, *frames, asked=asked), "--max-entries=3", "vm:/t", tmp_path / str(i))
        assert done.code == 1 and "sends more than 3 entries (--max-entries)" in done.text
    assert [request["max_entries"] for request in asked] == [3, 3, 3]
    assert tree_here(tmp_path / "0") == ["a", "b"] and tree_here(tmp_path / "1") == ["a", "a/b"]


def test_a_guest_that_sends_nothing_but_what_is_refused_is_left(tmp_path):
    def endless(peer):
        frame = peer.recv()
        if frame.type == codec.FILE_STAT_REQ:
            peer.send(codec.FILE_STAT, peer_entry("t", kind="dir", mode=0o755))
            return
        peer.send(*TOP)
        refused = codec.encode(*told("../x", "dir")) * 100
        while True:
            peer.send_raw(refused)
    done = run(endless, "vm:/t", tmp_path / "t")
    assert done.code == 1 and 100 < done.text.count("is not the name of a file") <= 10000


def deep(peer):
    """As many directories in one another as there may be, and more."""
    frame = peer.recv()
    if frame.type == codec.FILE_STAT_REQ:
        peer.send(codec.FILE_STAT, peer_entry("t", kind="dir", mode=0o755))
        return
    peer.send(*TOP)
    path = "d"
    while len(path) < 4200:
        peer.send(*told(path, "dir"))
        path += "/d"
    for kind, payload in (*file(path + "/f"), *file("good"), END):
        peer.send(kind, payload)
    peer.recv()


@pytest.fixture
def deep_here(tmp_path):
    """For a tree that only rm(1) can take away again."""
    yield tmp_path / "t"
    assert os.spawnlp(os.P_WAIT, "rm", "rm", "-rf", str(tmp_path / "t")) == 0


def test_a_tree_that_is_too_deep_is_cut_where_paths_end(deep_here):
    code, used = run_measured(deep, "cp", "-r", "vm:/t", deep_here)
    assert code == 1 and used < 64 and (deep_here / "good").exists()
    depth, fd = 0, os.open(deep_here, os.O_RDONLY)
    while (names := os.listdir(fd)) and "d" in names:
        inner = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd, depth = inner, depth + 1
    os.close(fd)
    assert 2000 < depth < 2048


def test_a_tree_takes_no_memory_for_its_files(tmp_path):
    def many(count):
        def script(peer):
            serving(TOP, *[told("f%d" % i, "symlink", "x" * 3000) for i in range(count)], told("d", "dir"),
                    *[(codec.FILE_STAT, {"path": "d/%d%s" % (i, "x" * 3000), "error": "EIO"}) for i in range(count)], END)(peer)
        return script
    code, few = run_measured(many(10), "cp", "-r", "vm:/t", tmp_path / "few")
    assert code == 1
    code, lot = run_measured(many(2000), "cp", "-r", "vm:/t", tmp_path / "many")
    assert code == 1 and lot < few + 4, (few, lot)


def test_a_set_id_bit_does_not_come_and_nothing_in_a_tree_is_a_command_to_a_terminal(tmp_path):
    entry = told("x", size=1)
    entry[1]["mode"] = 0o7777
    script = serving(TOP, entry, (codec.FILE_DATA, b"x"), (codec.FILE_DONE, b""),
                     (codec.FILE_STAT, {"path": "\x1b[31mRED\u202e", "error": "\x1b[2JEVIL\n"}), END)
    done = run(script, "-p", "vm:/t", tmp_path / "t")
    assert stat.S_IMODE(os.stat(tmp_path / "t" / "x").st_mode) == 0o777
    assert done.text.count("\n") == 1 and "\x1b" not in done.text and "\u202e" not in done.text and "RED" in done.text


def test_with_preserve_a_mode_comes_whole_whatever_the_umask_or_an_acl_takes_from_new_files(ctl, tmp_path):
    tree = tmp_path / "tree"
    (tree / "below").mkdir(parents=True)
    for mode in 0o640, 0o666, 0o777, 0o400:
        for folder in tree, tree / "below":
            path = folder / oct(mode)
            path.write_text("x")
            path.chmod(mode)
    acl, plain = tmp_path / "acl", tmp_path / "plain"
    acl.mkdir()
    plain.mkdir()
    (plain / "there").mkdir()
    for folder in acl, plain / "there":
        subprocess.run(["setfacl", "-d", "-m", "u::rwx,g::---,o::---", folder], check=True)
    for umask in 0o022, 0o077, 0:
        for copy in acl / oct(umask), plain / oct(umask), plain / "there":
            ctl.ok("cp", "-rp", f"vm:{tree}/.", copy, preexec_fn=lambda: os.umask(umask))
            for path in [*copy.iterdir(), *(copy / "below").iterdir()]:
                if path.is_file():
                    assert oct(stat.S_IMODE(path.stat().st_mode)) == path.name, (path, umask)
                    path.unlink()


@pytest.mark.plain_build
@pytest.mark.parametrize("options", [[], ["-p"]])
def test_a_small_file_of_a_new_directory_takes_no_more_calls_than_it_must(ctl, tmp_path, options):
    """On a file system of this machine: it is opened, written, named and closed; and with -p it is
    given its time, as its mode it has from the start."""
    tree = tmp_path / "tree"
    tree.mkdir()
    for number in range(50):
        (tree / str(number)).write_text("few bytes")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        strace = ["strace", "-f", "-c", "-o", tmp_path / "calls"]
        subprocess.run([*strace, *ctl.argv("cp", "-r", *options, f"vm:{tree}", f"{folder}/copy")], env=ctl.env, check=True)
        assert len(os.listdir(f"{folder}/copy")) == 50
    counts = {fields[-1]: int(fields[3]) for line in (tmp_path / "calls").read_text().splitlines()
              if (fields := line.split()) and fields[0].replace(".", "").isdigit() and fields[-1] != "total"}
    assert counts["write"] in range(50, 60) and counts["linkat"] in range(50, 52)
    assert counts["fcntl"] < 20 and counts["fchmod"] < 10
    assert counts.get("utimensat", 0) in (range(50, 60) if options else range(1))
    assert counts["openat"] < 80 and counts["close"] < 80
