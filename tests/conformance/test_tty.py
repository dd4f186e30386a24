# SPDX-License-Identifier: MIT
"""Sessions on a pseudo-terminal."""

import hashlib
import sys

import pytest

import codec
from agent import is_running, wait_until
from answers import refused
from faults import mounted


def tty_start(agent, script, **members):
    """A shell script on a tty that has said "up" already."""
    conn = agent.start(["sh", "-c", "echo up; " + script], tty=True, **members)
    conn.read_output(b"up\r\n")
    return conn


def test_all_three_streams_are_the_terminal(agent):
    result = agent.sh("[ -t 0 ] && [ -t 1 ] && [ -t 2 ] && tty", tty=True)
    assert result.stdout.startswith(b"/dev/pts/") and result.code == 0


def test_without_tty_nothing_is_a_terminal(agent):
    assert agent.sh("[ -t 0 ] || [ -t 1 ] || [ -t 2 ] || exit 9").code == 9


def test_a_tty_session_sends_all_its_output_as_stdout(agent):
    result = agent.sh("echo out; echo err >&2", tty=True)
    assert result.stdout == b"out\r\nerr\r\n" and result.stderr == b""


def test_the_terminal_controls_the_session(agent):
    assert agent.sh("echo mine >/dev/tty", tty=True).stdout == b"mine\r\n"


@pytest.mark.parametrize("members,size", [
    ({}, b"24 80"), ({"tty_width": 132, "tty_height": 43}, b"43 132"),
    ({"tty_width": 65535, "tty_height": 65535}, b"65535 65535"), ({"tty_width": 100}, b"24 100"),
    ({"tty_width": 0}, b"0 0"), ({"tty_height": 0}, b"0 0"),
    ({"tty_width": 0, "tty_height": 0}, b"0 0")])
def test_the_initial_size(agent, members, size):
    assert agent.run(["stty", "size"], tty=True, **members).stdout.strip() == size


def test_resize_sets_the_size_and_tells_the_program(agent):
    conn = agent.start(["sh", "-c", "trap 'stty size' WINCH; echo up; while :; do sleep 0.05; done"], tty=True)
    conn.read_output(b"up\r\n")
    for columns, rows in ((100, 50), (1, 2), (65535, 1)):
        conn.send(codec.RESIZE, codec.resize(columns, rows))
        conn.read_output(b"%d %d\r\n" % (rows, columns))
    conn.close()


def test_further_bytes_of_a_resize_are_ignored(agent):
    conn = tty_start(agent, "read x; stty size")
    conn.send(codec.RESIZE, codec.resize(77, 33, b"more than that"))
    conn.send(codec.STDIN, b"\n")
    assert b"33 77" in conn.result().stdout


@pytest.mark.parametrize("payload", [b"", b"a", b"abc"])
def test_a_resize_under_4_bytes_is_ignored(agent, payload):
    conn = tty_start(agent, "read x; stty size")
    conn.send(codec.RESIZE, payload)
    conn.send(codec.STDIN, b"\n")
    assert b"24 80" in conn.result().stdout


def test_resize_after_eof_is_acted_on(agent):
    conn = tty_start(agent, "cat; trap 'stty size; exit 5' WINCH; echo eof; while :; do sleep 0.05; done")
    conn.send(codec.EOF)
    conn.read_output(b"eof\r\n")
    conn.send(codec.RESIZE, codec.resize(9, 8))
    conn.read_output(b"8 9\r\n")
    assert conn.result().code == 5


def test_eof_ends_a_cat_after_a_whole_line(agent):
    conn = tty_start(agent, "cat; echo over")
    conn.send(codec.STDIN, b"line\n")
    conn.send(codec.EOF)
    result = conn.result()
    assert result.code == 0 and result.stdout.count(b"line") == 2 and b"over" in result.stdout


def test_eof_ends_a_cat_after_half_a_line(agent):
    """The first end-of-file character only pushes the half line out."""
    conn = tty_start(agent, "cat; echo over")
    conn.send(codec.STDIN, b"half")
    conn.send(codec.EOF)
    result = conn.result()
    assert result.code == 0 and result.stdout.count(b"half") == 2 and b"over" in result.stdout


def test_eof_with_nothing_typed_ends_a_cat(agent):
    conn = tty_start(agent, "cat; echo over")
    conn.send(codec.EOF)
    assert b"over" in conn.result().stdout


def test_eof_after_a_whole_line_is_typed_once(agent):
    """A second one would end the second cat too."""
    conn = tty_start(agent, "cat; echo first; cat; echo second")
    conn.send(codec.STDIN, b"line\n")
    conn.send(codec.EOF)
    conn.read_output(b"first\r\n")
    assert not conn.wait_readable(0.4), conn.frames
    conn.send(codec.SIGNAL, codec.signal_number(9))
    assert conn.result().code == 137


def test_each_eof_is_one_end(agent):
    conn = tty_start(agent, "cat; echo first; cat; echo second; cat; echo third")
    for told in b"first\r\n", b"second\r\n":
        conn.send(codec.EOF)
        conn.read_output(told)
        assert not conn.wait_readable(0.4), conn.frames
    conn.send(codec.SIGNAL, codec.signal_number(9))
    assert conn.result().code == 137


def test_eof_types_the_character_that_the_terminal_has(agent):
    conn = agent.start(["sh", "-c", "stty eof ^X; echo set; cat; echo over"], tty=True)
    conn.read_output(b"set\r\n")
    conn.send(codec.STDIN, b"half")
    conn.send(codec.EOF)
    result = conn.result()
    assert b"over" in result.stdout and result.code == 0


def test_eof_on_a_raw_terminal_is_typed_once(agent):
    conn = agent.start(["sh", "-c", "stty raw -echo; echo set; head -c 3 | od -An -tx1; "
                        "dd bs=1 count=1 2>/dev/null | od -An -tx1"], tty=True)
    conn.read_output(b"set\n")
    conn.send(codec.STDIN, b"ab")
    conn.send(codec.EOF)
    conn.read_output(b"61 62 04")
    assert not conn.wait_readable(0.3) or conn.recv().payload.strip() == b""
    conn.send(codec.STDIN, b"z")
    assert conn.read_output(b"7a")
    conn.result()


def test_output_goes_on_after_eof(agent):
    conn = tty_start(agent, "cat; for i in 1 2 3; do sleep 0.1; echo out$i; done; exit 4")
    conn.send(codec.EOF)
    result = conn.result()
    assert b"out3" in result.stdout and result.code == 4


def test_ctrl_c_interrupts_the_program(agent):
    conn = tty_start(agent, "exec sleep 60")
    conn.send(codec.STDIN, b"\x03")
    result = conn.result()
    assert (result.code, result.signal) == (130, 2)


def test_what_is_typed_is_echoed_and_read(agent):
    conn = tty_start(agent, "read line; echo \"<$line>\"")
    conn.send(codec.STDIN, b"typed\n")
    assert conn.result().stdout.endswith(b"typed\r\n<typed>\r\n")


def test_term_is_xterm_256color_unless_env_says_otherwise(agent):
    assert agent.sh("echo $TERM", tty=True).stdout == b"xterm-256color\r\n"
    assert agent.sh("echo $TERM", tty=True, env={"TERM": "vt100"}).stdout == b"vt100\r\n"


def test_one_megabyte_is_typed_into_a_raw_terminal_without_loss(agent):
    conn = agent.start(["sh", "-c", "stty raw -echo; echo set; head -c 1000000 | md5sum"], tty=True)
    conn.read_output(b"set\n")
    data = bytes(range(256)) * 4000
    data = data[:1000000]
    stream = b"".join(codec.encode(codec.STDIN, data[i:i + 50000]) for i in range(0, len(data), 50000))
    assert conn.send_reading(stream) == len(stream)
    assert hashlib.md5(data).hexdigest().encode() in conn.result().stdout


def test_a_tty_that_nobody_reads_can_still_be_signalled(agent):
    """The terminal's own buffer is full of what the program does not read."""
    conn = tty_start(agent, "stty raw -echo; echo set; exec sleep 60")
    conn.read_output(b"set")
    conn.send(codec.STDIN, b"x" * 500000)
    conn.send(codec.RESIZE, codec.resize(50, 50))
    conn.send(codec.SIGNAL, codec.signal_number(15))
    result = conn.result()
    assert (result.code, result.signal) == (143, 15)


def test_a_tty_session_is_hung_up_when_the_host_goes(agent):
    conn = agent.start(["sh", "-c", "echo $$; exec sleep 60"], tty=True)
    pid = int(conn.read_output(b"\r\n"))
    conn.close()
    wait_until(lambda: not is_running(pid), message="the program ends")


def test_twenty_terminals_one_after_the_other_leave_nothing_open(agent):
    for _ in range(20):
        assert agent.run(["tty"], tty=True).stdout.startswith(b"/dev/pts/")


# ---- where users have all terminals ---------------------------------------------

# A guest with two terminals for everybody, as the boot makes one with 2048; and those that
# root alone can make, or not.
FEW = """mount -t tmpfs none /dev
mknod -m 666 /dev/null c 1 3
mknod -m 666 /dev/zero c 1 5
mkdir /dev/pts %s
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5,max=2 none /dev/pts
ln -s pts/ptmx /dev/ptmx
test ! -d /dev/pts-host || mount -t devpts -o newinstance,ptmxmode=0600,mode=0620,gid=5 none /dev/pts-host"""

HOLD = "import os; fds = [os.open('/dev/ptmx', os.O_RDWR) for _ in range(2)]; print('up', flush=True); input()"


@pytest.fixture
def few(start_agent, monkeypatch, tmp_path):
    """A function: an agent whose terminals a user has all taken."""

    def start(more="/dev/pts-host"):
        mounted(monkeypatch, tmp_path, FEW % more)
        agent = start_agent("--workers=8")
        holder = agent.start([sys.executable, "-c", HOLD], user="nobody")
        assert holder.read_output(b"\n") == b"up\n"
        return agent, holder

    return start


@pytest.mark.parametrize("user", ["", "nobody"], ids=["root", "nobody"])
def test_a_user_who_takes_all_terminals_leaves_some_to_the_host(few, user):
    agent, holder = few()
    script = "tty; test -t 0 && stty size && : >/dev/tty && : >$(tty) && echo well"
    for _ in range(20):
        result = agent.run(["sh", "-c", script], tty=True, tty_width=33, tty_height=44, user=user)
        assert result.stdout.split() == [b"/dev/pts-host/0", b"44", b"33", b"well"]
    holder.close()
    wait_until(lambda: agent.run(["tty"], tty=True).stdout.strip() == b"/dev/pts/0", 10, "one of the others")


def test_the_hosts_terminals_are_not_to_be_had_by_users(few):
    agent, _ = few()
    result = agent.sh("exec 3<>/dev/pts-host/ptmx", user="nobody")
    assert result.code != 0 and b"ermission" in result.stderr


def test_no_terminal_is_left_where_none_is_kept(few):
    """As a service, in a guest of somebody else's."""
    agent, _ = few(more="")
    text = refused(agent.request(codec.START, {"cmd": ["true"], "tty": True}))
    assert "/dev/ptmx " in text and "No space left" in text
