# SPDX-License-Identifier: MIT
"""vmm-guest-ctl where a system call of its own fails: what is not done is told, and want
of memory is not a host or an agent that has gone."""

import os
import shutil

import pytest

from client import Ctl, ctl_binary


class Faulty(Ctl):
    """The client under strace(1), which has calls fail as INJECT says; of PATH alone, if given."""

    def __init__(self, agent, inject, path=None):
        assert shutil.which("strace"), "no strace(1)"
        super().__init__(agent.path)
        # Under a tracer a sanitizer can't look for leaks, and would end the client for that.
        self.strace = ["strace", "-E", "ASAN_OPTIONS=detect_leaks=0", "-f", "-qq", "-o", "/dev/null", "-e", "trace=" + inject.split(":")[0],
                       "-e", "inject=" + inject, *(["-P", str(path)] if path else [])]

    def argv(self, *args):
        return [*self.strace, ctl_binary(), *args]


@pytest.fixture
def top(tmp_path):
    (tmp_path / "from" / "d").mkdir(parents=True)
    for i in range(10):
        (tmp_path / "from" / str(i)).write_text("x")
        (tmp_path / "from" / "d" / str(i)).write_text("y")
    return tmp_path


@pytest.mark.parametrize("when", [1, 2, 3])
def test_a_directory_that_cannot_be_read_to_its_end_is_no_success(agent, top, when):
    done = Faulty(agent, "getdents64:error=EIO:when=%d" % when).run(
        "cp", "-r", top / "from", "vm:%s" % (top / "to"))
    assert done.code == 1 and "can't read" in done.text and "Input/output error" in done.text


DATA = os.urandom(3 << 20)
SHORT = ["ENOMEM", "ENOBUFS"]


@pytest.mark.parametrize("error", SHORT)
@pytest.mark.parametrize("call", ["sendto", "recvfrom", "sendmsg"])
def test_want_of_memory_does_not_end_a_program(agent, call, error):
    done = Faulty(agent, "%s:error=%s:when=2..5" % (call, error)).run("exec", "-i", "cat", input=DATA)
    assert done.code == 0 and done.stdout == DATA and done.text == ""


@pytest.mark.parametrize("error", SHORT)
@pytest.mark.parametrize("call", ["recvfrom", "sendmsg"])
def test_want_of_memory_does_not_end_an_upload(agent, top, call, error):
    faulty = Faulty(agent, "%s:error=%s:when=1..3" % (call, error))
    faulty.ok("cp", "-", "vm:%s" % (top / "kept"), input=DATA)
    assert (top / "kept").read_bytes() == DATA
    faulty.ok("cp", "vm:%s" % (top / "kept"), top / "back")
    assert (top / "back").read_bytes() == DATA


def test_a_tree_comes_in_order_though_its_thread_is_ahead_from_the_start(agent, top):
    """pthread_create() returns when the thread has read as far ahead as it may."""
    for i in range(40):
        (top / "from" / "d" / ("large%d" % i)).write_bytes(os.urandom(65536))
    Faulty(agent, "clone,clone3:delay_exit=300000").ok("cp", "-r", "vm:%s" % (top / "from"), top / "to")
    for name in os.listdir(top / "from" / "d"):
        assert (top / "to" / "d" / name).read_bytes() == (top / "from" / "d" / name).read_bytes(), name


@pytest.mark.parametrize("call,when", [("write", "1..3"), ("poll", "3..6")])
def test_want_of_memory_loses_no_output(agent, call, when):
    faulty = Faulty(agent, "%s:error=ENOMEM:when=%s" % (call, when))
    assert faulty.ok("exec", "seq", "30000") == b"".join(b"%d\n" % i for i in range(1, 30001))


def test_an_error_that_the_close_of_an_output_tells_is_told(agent, top):
    for args, code in [(["ls", top], 1), (["cat", top / "from" / "1"], 1), (["exec", "echo", "x"], 125)]:
        with open(top / "out", "w") as out:
            done = Faulty(agent, "close:error=EIO", top / "out").run(*args, stdout=out)
        assert done.code == code and "can't write to standard output" in done.text, args


def test_an_error_that_the_close_of_a_copy_tells_leaves_the_old_file(agent, top):
    """Each close in turn: those of the loader's, of connections, of the copy."""
    told = 0
    for when in range(1, 40):
        (top / "here").write_text("old")
        done = Faulty(agent, "close:error=EIO:when=%d" % when).run(
            "cp", "vm:%s" % (top / "from" / "1"), top / "here")
        told += "can't write to %s" % (top / "here") in done.text
        if "standard output" not in done.text:
            assert (top / "here").read_text() == ("x" if done.code == 0 else "old"), when
        assert sorted(os.listdir(top)) == ["from", "here"]
    assert told == 1


@pytest.mark.parametrize("error,result", [("EOPNOTSUPP", "x"), ("EACCES", "old")])
def test_where_a_file_must_have_a_name_it_has_one_beside_its_target_meanwhile(agent, top, error, result):
    """The first open is that of the directory, the second is for O_TMPFILE."""
    (top / "to").mkdir()
    (top / "to" / "1").write_text("old")
    for name, expected in (("1", ["1"]), ("2", ["1", "2"] if result == "x" else ["1"])):
        done = Faulty(agent, "openat:error=%s:when=2" % error, top / "to").run(
            "cp", "vm:%s" % (top / "from" / "1"), top / "to" / name)
        assert done.code == (result != "x") and sorted(os.listdir(top / "to")) == expected
        assert (top / "to" / "1").read_text() == result


def test_a_link_that_cannot_be_made_leaves_the_old_file(agent, top):
    """The first try says that there is something, the second one is to take its place."""
    (top / "from" / "d" / "here").symlink_to("x")
    for call in ("symlinkat:error=ENOSPC:when=2", "renameat:error=EIO:when=1"):
        shutil.rmtree(top / "to", ignore_errors=True)
        (top / "to").mkdir()
        (top / "to" / "here").write_text("old")
        done = Faulty(agent, call).run("cp", "-r", "vm:%s/." % (top / "from" / "d"), top / "to")
        assert done.code == 1, call
        assert (top / "to" / "here").read_text() == "old", call
        assert not [name for name in os.listdir(top / "to") if name.startswith(".")]


def test_output_that_does_not_fit_is_no_success_and_no_end_of_the_program(agent):
    with open("/dev/full", "w") as full:
        done = Ctl(agent.path).run("exec", "--detach", "sleep", "0", stdout=full)
    assert done.code == 125 and "can't write to standard output" in done.text
