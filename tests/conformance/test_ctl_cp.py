# SPDX-License-Identifier: MIT
"""vmm-guest-ctl cp and the other commands for files, against the real agent. The
guest's files are this machine's, so that a test can look at both sides."""

import json
import os
import resource
import select
import signal
import stat
import subprocess
import time

import pytest

from agent import wait_until
from client import Ctl, Terminal


@pytest.fixture
def ctl(agent):
    return Ctl(agent.path)


@pytest.fixture
def guest(tmp_path):
    path = tmp_path / "guest"
    path.mkdir()
    return path


@pytest.fixture
def here(tmp_path):
    path = tmp_path / "here"
    path.mkdir()
    return path


def vm(path):
    return "vm:%s" % path


def mode(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


def tree_of(top, times=False):
    """{relative path: what is to be equal}."""
    found = {}
    for folder, folders, files in os.walk(top):
        for name in folders + files:
            path = os.path.join(folder, name)
            st = os.lstat(path)
            value = [stat.S_IFMT(st.st_mode)]
            if stat.S_ISLNK(st.st_mode):
                value.append(os.readlink(path))
            else:
                value.append(stat.S_IMODE(st.st_mode))
                if times:
                    value.append(st.st_mtime_ns)
            if stat.S_ISREG(st.st_mode):
                with open(path, "rb") as f:
                    value.append(f.read())
            found[os.path.relpath(path, top)] = value
    return found


def make_tree(top):
    (top / "a" / "deep" / "er").mkdir(parents=True)
    (top / "empty").mkdir()
    (top / "private").mkdir(mode=0o700)
    for i in range(40):
        (top / "a" / ("file %d" % i)).write_bytes(os.urandom(i * 100))
    (top / "a" / "deep" / "er" / "nothing").write_bytes(b"")
    (top / "a" / "$(touch x) 'quoted' \"both\"").write_text("odd name")
    (top / "a" / "-n").write_text("looks like an option")
    (top / "tool").write_text("#!/bin/sh\n")
    (top / "tool").chmod(0o755)
    (top / "private" / "key").write_text("k")
    (top / "private" / "key").chmod(0o600)
    (top / "link").symlink_to("a/deep")
    (top / "dangling").symlink_to("/no/such")
    os.utime(top / "tool", ns=(1, 981173106789000000))
    os.utime(top / "private", ns=(1, 981173106000000000))


# ---- one file --------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 262144, 262145, 8 << 20])
def test_a_file_goes_in_and_comes_back_equal(ctl, guest, here, size):
    data = os.urandom(size)
    (here / "sent").write_bytes(data)
    assert ctl.ok("cp", here / "sent", vm(guest / "kept")) == b""
    assert (guest / "kept").read_bytes() == data
    assert ctl.ok("cp", vm(guest / "kept"), here / "back") == b""
    assert (here / "back").read_bytes() == data


def test_dash_is_standard_input_and_output(ctl, guest):
    data = os.urandom(3 << 20)
    ctl.ok("cp", "-", vm(guest / "x"), input=data)
    assert (guest / "x").read_bytes() == data and mode(guest / "x") == 0o644
    assert ctl.ok("cp", vm(guest / "x"), "-") == data


def test_a_directory_as_target_takes_the_copy_under_its_name(ctl, guest, here):
    (here / "f").write_text("1")
    ctl.ok("cp", here / "f", vm(guest))
    ctl.ok("cp", here / "f", vm("%s/new/" % guest))
    (guest / "link").symlink_to(guest / "new")
    (here / "g").write_text("2")
    ctl.ok("cp", here / "g", vm(guest / "link"))
    assert (guest / "f").read_text() == "1" and (guest / "new" / "f").read_text() == "1"
    assert (guest / "new" / "g").read_text() == "2"
    ctl.ok("cp", vm(guest / "new" / "g"), vm(guest / "f"), here)
    assert (here / "g").read_text() == "2" and (here / "f").read_text() == "1"


def test_new_files_get_the_sources_permissions_less_the_umask(ctl, guest, here):
    (here / "tool").write_text("x")
    (here / "tool").chmod(0o4777)
    ctl.ok("cp", here / "tool", vm(guest / "tool"), preexec_fn=lambda: os.umask(0o027))
    assert mode(guest / "tool") == 0o750
    ctl.ok("cp", vm(guest / "tool"), here / "back", preexec_fn=lambda: os.umask(0o077))
    assert mode(here / "back") == 0o700


def test_files_that_are_there_keep_their_mode(ctl, guest, here):
    (here / "f").write_text("new")
    (guest / "f").write_text("old")
    (guest / "f").chmod(0o600)
    ctl.ok("cp", here / "f", vm(guest / "f"))
    assert mode(guest / "f") == 0o600 and (guest / "f").read_text() == "new"
    (here / "f").chmod(0o640)
    ctl.ok("cp", vm(guest / "f"), here / "f")
    assert mode(here / "f") == 0o640


def test_set_id_bits_never_come_out_of_a_guest(ctl, guest, here):
    (guest / "f").write_text("x")
    (guest / "f").chmod(0o6755)
    ctl.ok("cp", "-p", vm(guest / "f"), here / "f")
    assert mode(here / "f") == 0o755


def test_preserve_keeps_mode_and_time_both_ways(ctl, guest, here):
    (here / "f").write_text("x")
    (here / "f").chmod(0o604)
    os.utime(here / "f", ns=(1, 981173106789012345))
    ctl.ok("cp", "-p", here / "f", vm(guest / "f"))
    ctl.ok("cp", "-p", vm(guest / "f"), here / "back")
    for path in (guest / "f", here / "back"):
        assert mode(path) == 0o604 and os.stat(path).st_mtime_ns == 981173106789012345


def test_links_that_are_named_are_followed(ctl, guest, here):
    (guest / "target").write_text("t")
    (guest / "target").chmod(0o755)
    (guest / "link").symlink_to("target")
    ctl.ok("cp", vm(guest / "link"), here / "f")
    assert (here / "f").read_text() == "t" and mode(here / "f") == 0o755
    (here / "out").symlink_to("f")
    (guest / "target").write_text("u")
    ctl.ok("cp", vm(guest / "target"), here / "out")
    assert (here / "out").is_symlink() and (here / "f").read_text() == "u"


def test_a_user_may_do_no_more_than_that_user(ctl, guest, here, public_dir):
    (here / "f").write_text("x")
    done = ctl.run("cp", "-u", "nobody", here / "f", vm(guest / "f"))
    assert done.code == 1 and "Permission denied" in done.text
    ctl.ok("cp", "-u", "nobody", here / "f", vm(public_dir / "f"))
    assert os.stat(public_dir / "f").st_uid != 0
    (guest / "secret").write_text("x")
    (guest / "secret").chmod(0o600)
    done = ctl.run("cp", "-u", "nobody", vm(guest / "secret"), here / "s")
    assert done.code == 1 and not (here / "s").exists()


def test_what_does_not_fit_here_leaves_the_old_file(ctl, guest, here):
    (guest / "f").write_bytes(bytes(1 << 20))
    (here / "f").write_text("old")
    done = ctl.run("cp", vm(guest / "f"), here / "f", preexec_fn=lambda: resource.setrlimit(
        resource.RLIMIT_FSIZE, (65536, 65536)))
    assert done.code == 1 and "File too large" in done.text
    assert (here / "f").read_text() == "old" and os.listdir(here) == ["f"]


def test_a_device_here_is_written_to_as_it_is(ctl, guest):
    (guest / "f").write_text("x")
    ctl.ok("cp", vm(guest / "f"), "/dev/null")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_pipe_here_that_nobody_reads_does_not_outlast_a_signal(ctl, guest, here, number):
    (guest / "f").write_bytes(bytes(1 << 20))
    os.mkfifo(here / "fifo")
    with ctl.start("cp", vm(guest / "f"), here / "fifo") as opens:
        time.sleep(0.5)         # it waits for a reader
        opens.send_signal(number)
        assert opens.wait(20) == -number
    reader = os.open(here / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    with ctl.start("cp", vm(guest / "f"), here / "fifo") as writes:
        wait_until(lambda: select.select([reader], [], [], 0)[0], message="it writes")
        writes.send_signal(number)
        assert writes.wait(20) == -number
    os.close(reader)


def test_files_of_proc_are_read_whole(ctl, here):
    ctl.ok("cp", "vm:/proc/version", here / "v")
    with open("/proc/version", "rb") as f:
        assert (here / "v").read_bytes() == f.read()


@pytest.mark.parametrize("args,words", [
    (["a", "b"], "both on this machine"),
    (["vm:/a", "vm:/b"], "both in the guest"),
    (["a"], "a source and a target"),
    (["--frob", "a", "vm:/b"], "cp --help"),
])
def test_wrong_use_is_said(ctl, args, words):
    done = ctl.run("cp", *args)
    assert done.code == 2 and words in done.text


def test_errors_name_the_side_the_path_and_the_reason(ctl, guest, here):
    done = ctl.run("cp", vm("/no/such/file"), here / "x")
    assert done.code == 1 and "vm:/no/such/file: No such file or directory" in done.text
    done = ctl.run("cp", here / "none", vm(guest / "x"))
    assert done.code == 1 and "none: No such file" in done.text
    done = ctl.run("cp", here, vm(guest / "x"))
    assert done.code == 1 and "-r" in done.text
    done = ctl.run("cp", vm(guest), here / "x")
    assert done.code == 1 and "-r" in done.text
    (here / "f").write_text("x")
    done = ctl.run("cp", here / "f", here / "f", vm(guest / "f"))
    assert done.code == 1 and "2 sources" in done.text
    done = ctl.run("cp", here / "f", vm("/proc/nothing/here"))
    assert done.code == 1 and "vm:/proc/nothing" in done.text


def test_a_file_over_the_limit_is_refused_in_words(start_agent, here, guest):
    ctl = Ctl(start_agent("--max-file-mib=1").path)
    (here / "f").write_bytes(bytes(2 << 20))
    done = ctl.run("cp", here / "f", vm(guest / "f"))
    assert done.code == 1 and "too large" in done.text
    assert os.listdir(guest) == []


# ---- trees -------------------------------------------------------------------------


def test_a_tree_goes_in_and_comes_back_equal(ctl, guest, here):
    make_tree(here)
    assert ctl.ok("cp", "-rp", here, vm(guest / "t")) == b""
    assert tree_of(guest / "t", times=True) == tree_of(here, times=True)
    assert ctl.ok("cp", "-rp", vm(guest / "t"), here.parent / "back") == b""
    assert tree_of(here.parent / "back", times=True) == tree_of(here, times=True)


def test_a_tree_into_one_that_is_there_keeps_what_it_does_not_replace(ctl, guest, here):
    make_tree(here)
    (guest / "here" / "a").mkdir(parents=True)
    (guest / "here" / "a" / "own").write_text("own")
    (guest / "here" / "tool").write_text("old")
    (guest / "here" / "tool").chmod(0o600)
    ctl.ok("cp", "-r", here, vm(guest))
    assert (guest / "here" / "a" / "own").read_text() == "own"
    assert (guest / "here" / "tool").read_text() == "#!/bin/sh\n"
    assert mode(guest / "here" / "tool") == 0o600
    assert os.readlink(guest / "here" / "link") == "a/deep"
    ctl.ok("cp", "-r", vm(guest / "here"), here.parent / "back")
    ctl.ok("cp", "-r", vm(guest / "here"), here.parent / "back")
    assert tree_of(here.parent / "back" / "here") == tree_of(guest / "here")


def test_a_long_path_does_not_hide_what_went_wrong(ctl, guest):
    long = "/".join(["n" * 200] * 10)
    for command in ("ls", "cat", "rm"):
        done = ctl.run(command, guest / long)
        assert done.code == 1 and "No such file or directory" in done.text and str(guest)[:40] in done.text


def test_a_name_that_is_no_utf8_is_refused_in_words(ctl, guest):
    for command in ("ls", "cat", "stat", "rm"):
        done = ctl.run(command, os.fsencode(guest) + b"/bad\xff")
        assert done.code == 1 and "has to be UTF-8" in done.text


def test_habits_of_cp_rm_and_ls_are_understood(ctl, guest, here):
    make_tree(here)
    ctl.ok("cp", "-R", here, vm(guest / "t"))
    assert ctl.ok("ls", "-la", guest / "t") == ctl.ok("ls", "-l", guest / "t")
    ctl.ok("rm", "-R", guest / "t")
    assert not (guest / "t").exists()


def test_what_is_no_file_is_left_out_and_said(ctl, guest, here):
    os.mkfifo(here / "fifo")
    (here / "f").write_text("x")
    done = ctl.run("cp", "-r", here, vm(guest / "t"))
    assert done.code == 1 and "fifo is left out" in done.text
    assert os.listdir(guest / "t") == ["f"]
    os.mkfifo(guest / "t" / "fifo")
    done = ctl.run("cp", "-r", vm(guest / "t"), here / "back")
    assert done.code == 1 and "fifo is left out" in done.text
    assert os.listdir(here / "back") == ["f"]


def test_a_tree_of_10000_files_there_and_back_is_equal(start_agent, guest, here):
    ctl = Ctl(start_agent("--workers=8").path)      # fewer than it would like to use
    for i in range(100):
        folder = here / ("d%d" % i)
        folder.mkdir(mode=0o700 + i % 8)
        (folder / "link").symlink_to("%d" % i)
        for j in range(99):
            (folder / str(j)).write_text("%d %d" % (i, j))
        (folder / "0").chmod(0o711)
    ctl.ok("cp", "-r", here, vm(guest / "t"), timeout=120)
    assert tree_of(guest / "t") == tree_of(here)
    ctl.ok("cp", "-r", vm(guest / "t"), here.parent / "back", timeout=120)
    assert tree_of(here.parent / "back") == tree_of(here)


def test_a_tree_for_a_user_belongs_to_that_user(ctl, here, public_dir):
    make_tree(here)
    for path in [here, *here.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755)
    ctl.ok("cp", "-r", "-u", "nobody", here, vm(public_dir / "t"))
    assert tree_of(public_dir / "t").keys() == tree_of(here).keys()
    owners = {os.lstat(p).st_uid for p in (public_dir / "t").rglob("*")}
    assert len(owners) == 1 and 0 not in owners


def test_links_of_a_tree_replace_what_is_there_and_are_not_followed(ctl, guest, here):
    (here / "file").symlink_to("new")
    (here / "link").symlink_to("new")
    (here / "dir").symlink_to("new")
    (guest / "victim").mkdir()
    (guest / "file").write_text("old")
    (guest / "link").symlink_to("victim")
    (guest / "dir").mkdir()
    done = ctl.run("cp", "-r", "%s/." % here, vm(guest))
    assert done.code == 1 and "vm:%s/dir: Is a directory" % guest in done.text
    assert os.readlink(guest / "file") == "new" and os.readlink(guest / "link") == "new"
    assert os.listdir(guest / "victim") == []


def test_a_tree_for_a_user_is_written_where_that_user_may_write_alone(ctl, guest, here, public_dir):
    """A link of the user's on the way leads nowhere that the user may not write."""
    make_tree(here)
    (public_dir / "t").mkdir()
    (public_dir / "t" / "a").symlink_to(guest)
    done = ctl.run("cp", "-rp", "-u", "nobody", "%s/." % here, vm(public_dir / "t"))
    assert done.code == 1 and os.listdir(guest) == []


def test_commands_do_no_more_than_their_user_may(ctl, guest, public_dir):
    (guest / "secret").mkdir(mode=0o700)
    (guest / "secret" / "f").write_text("x")
    (public_dir / "own").mkdir()
    os.chown(public_dir / "own", 65534, 65534)
    for args in (["ls", "--user", "nobody", guest / "secret"],
                 ["stat", "-u", "nobody", guest / "secret" / "f"],
                 ["rm", "-u", "nobody", guest / "secret" / "f"],
                 ["mv", "--user", "nobody", guest / "secret" / "f", public_dir / "f"],
                 ["mkdir", "-u", "nobody", guest / "secret" / "d"]):
        done = ctl.run(*args)
        assert done.code == 1 and "Permission denied" in done.text, args
    assert os.listdir(guest / "secret") == ["f"]
    ctl.ok("mkdir", "-u", "nobody", public_dir / "own" / "d")
    assert os.stat(public_dir / "own" / "d").st_uid == 65534
    ctl.ok("mv", "--user", "nobody", public_dir / "own" / "d", public_dir / "own" / "e")
    assert ctl.ok("ls", "--user", "nobody", public_dir / "own") == b"e\n"
    ctl.ok("rm", "-u", "nobody", public_dir / "own" / "e")
    assert os.listdir(public_dir / "own") == []


@pytest.mark.parametrize("command", ["ls", "mv"])
def test_u_of_ls_and_mv_is_not_taken_for_a_user(ctl, guest, command):
    assert ctl.run(command, "-u", "nobody", guest, guest / "x").code == 2


def test_one_bad_file_does_not_stop_the_others(ctl, guest, here):
    (guest / "t" / "d").mkdir(parents=True)
    (guest / "t" / "d" / "f").write_text("x")
    (guest / "t" / "z").write_text("z")
    (here / "d").mkdir()
    (here / "d" / "f").mkdir()                      # in the way
    done = ctl.run("cp", "-r", vm(guest / "t") + "/d", vm(guest / "t") + "/z", here)
    assert done.code == 1 and "d/f" in done.text
    assert (here / "z").read_text() == "z"


# ---- the progress line ---------------------------------------------------------------


def test_progress_is_shown_on_a_terminal_and_taken_away(ctl, guest):
    args = ["cp", "-", vm(guest / "x")]
    with Terminal(ctl, *args) as term:
        term.type(b"abc\n")
        term.read_until(b"/s")
        term.type(b"\x04")
        assert term.wait() == 0
        assert term.output.endswith(b"\r\x1b[K")
    with Terminal(ctl, "cp", "-q", "-", vm(guest / "x")) as term:
        term.type(b"abc\n")
        term.type(b"\x04")
        assert term.wait() == 0
        assert b"/s" not in term.output


# ---- the other commands ----------------------------------------------------------------


def test_ls_lists_names_and_l_all_of_it(ctl, guest):
    make_tree(guest)
    assert ctl.ok("ls", guest).decode().split() == sorted(os.listdir(guest))
    lines = ctl.ok("ls", "-l", vm(guest)).decode().splitlines()
    assert any(l.startswith("lrwxrwxrwx") and l.endswith("link -> a/deep") for l in lines)
    assert any(l.startswith("drwx------") and l.endswith("private") for l in lines)
    assert ctl.ok("ls", guest / "tool").decode() == "%s\n" % (guest / "tool")
    done = ctl.run("ls", "/no/such", guest / "empty")
    assert done.code == 1 and "vm:/no/such: No such file" in done.text


def test_ls_and_stat_say_which_special_file_it_is(ctl, guest):
    kinds = {"pipe": ("p", stat.S_IFIFO, "FIFO"), "null": ("c", stat.S_IFCHR, "character device"),
             "loop": ("b", stat.S_IFBLK, "block device"), "sock": ("s", stat.S_IFSOCK, "socket")}
    (guest / "dev").mkdir()
    for name, (_, kind, _) in kinds.items():
        os.mknod(guest / "dev" / name, kind | 0o600, os.makedev(7, 250))
    lines = ctl.ok("ls", "-l", guest / "dev").decode().splitlines()
    assert {line.split()[-1]: line[0] for line in lines} == {name: letter for name, (letter, _, _) in kinds.items()}
    assert all(line[1:10] == "rw-------" for line in lines)
    for name, (letter, _, words) in kinds.items():
        text = ctl.ok("stat", guest / "dev" / name).decode()
        assert words in text and "(%srw-------)" % letter in text


def test_stat_in_words_and_in_json(ctl, guest):
    make_tree(guest)
    text = ctl.ok("stat", guest / "tool").decode()
    assert "10 (10 B)" in text and "0755 (-rwxr-xr-x)" in text and "981173" not in text
    entry = json.loads(ctl.ok("stat", "--json", guest / "link"))
    assert entry["kind"] == "symlink" and entry["symlink_target"] == "a/deep"
    assert b"directory" in ctl.ok("stat", "-L", guest / "link")


def test_cat_gives_files_and_parts_of_them(ctl, guest):
    (guest / "f").write_bytes(bytes(range(256)) * 1000)
    data = (guest / "f").read_bytes()
    assert ctl.ok("cat", guest / "f", vm(guest / "f")) == data * 2
    assert ctl.ok("cat", "--offset", "1K", "--length", "300", guest / "f") == data[1024:1324]
    assert ctl.run("cat", "/no/such").code == 1


def test_mkdir_mv_and_rm(ctl, guest):
    ctl.ok("mkdir", guest / "a" / "b", vm(guest / "c"), "-m", "0700")
    assert mode(guest / "a" / "b") == 0o700 and mode(guest / "c") == 0o700
    (guest / "f").write_text("1")
    ctl.ok("mv", guest / "f", guest / "g")
    ctl.ok("mv", guest / "g", guest / "c")
    assert (guest / "c" / "g").read_text() == "1"
    done = ctl.run("rm", guest / "c")
    assert done.code == 1 and "-r" in done.text
    ctl.ok("rm", "-r", guest / "c")
    assert not (guest / "c").exists()
    assert ctl.run("rm", guest / "c").code == 1
    ctl.ok("rm", "-f", guest / "c")


@pytest.mark.parametrize("name", ["...", "....", "..x", ".x"])
def test_rm_takes_names_that_only_begin_like_the_root(ctl, guest, name):
    (guest / name).write_text("x")
    ctl.ok("rm", guest / name)
    assert not (guest / name).exists()
    done = ctl.run("rm", "/...")            # one that is not there
    assert done.code == 1 and "vm:/...: No such file" in done.text


@pytest.mark.parametrize("path", ["/", "//", "/.", "vm:", "vm:/", ".", "", "..", "/..", "/./../"])
def test_rm_leaves_the_root_alone(ctl, path):
    done = ctl.run("rm", "-rf", path)
    assert done.code == 1 and "left alone" in done.text


def test_watch_tells_what_happens(ctl, guest):
    with ctl.start("watch", "-r", guest) as process:
        (guest / "first").write_text("x")           # before the watch stands, or after
        (guest / "d").mkdir()
        seen = ""
        for i in range(200):
            if "created %s/d/deep" % guest in seen and "renamed" in seen:
                break
            (guest / "d" / ("deep%d" % i)).write_text("x")
            (guest / "d" / ("deep%d" % i)).rename(guest / "d" / "other")
            if select.select([process.stdout], [], [], 0.1)[0]:
                seen += os.read(process.stdout.fileno(), 65536).decode()
        process.terminate()
        assert process.wait(20) == -15
    assert " -> %s/d/other" % guest in seen
    assert ctl.run("watch", "/no/such").code == 1


def test_a_program_here_can_be_a_pipe_between_guests(ctl, guest):
    (guest / "f").write_bytes(os.urandom(5 << 20))
    with ctl.start("cat", guest / "f") as first:
        with ctl.start("cp", "-", vm(guest / "g"), stdin=first.stdout,
                       stdout=subprocess.DEVNULL) as second:
            assert second.wait(20) == 0
    assert (guest / "g").read_bytes() == (guest / "f").read_bytes()
