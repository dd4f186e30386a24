# SPDX-License-Identifier: MIT
"""The input of a durable session: it has one holder, whoever takes it over waits for
nobody, and who resends from `stdin_bytes` loses nothing and doubles nothing."""

import contextlib
import hashlib
import random
import signal
import struct
import time

import pytest

import codec
import durable
from agent import wait_until
from durable import Frozen

AGENT_OPTIONS = ("--workers=24", "--log=debug")
FORGETS_DURABLE = True
MIB = 1 << 20


def send_some(reader, data):
    """STDIN frames of DATA, as far as a host gets that its agent may leave at any time."""
    frames = b"".join(codec.encode(codec.STDIN, data[i:i + 50000]) for i in range(0, len(data), 50000))
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        reader.conn.send_reading(frames)


# ---- nothing is lost, nothing doubled --------------------------------------------------


@pytest.mark.kills_workers
def test_input_of_64_mib_is_whole_though_it_was_cut_20_times(agent):
    """By a close, by a half close, by a kill of the holder's worker, and by others who
    take it while that worker runs, or stands still and goes on later."""
    noise = random.Random(20)
    data = noise.randbytes(64 * MIB)
    reader = durable.start(agent, ["sha256sum"], "hash")
    at, frozen, cuts = 0, [], ["close", "half", "kill", "take", "freeze"] * 4
    noise.shuffle(cuts)
    holds_by_attach = False
    for cut in cuts:
        send_some(reader, data[at:at + noise.randrange(4 * MIB)])
        if cut == "close":
            reader.close()
        elif cut == "half":
            reader.conn.half_close()
        elif holds_by_attach and cut in ("kill", "freeze"):
            pid = durable.holder_pid(agent, reader)
            if cut == "kill":
                Frozen(pid).kill()
            else:
                frozen.append(Frozen(pid))
                send_some_more = data[reader.at:reader.at + 30000]
                with contextlib.suppress(BlockingIOError):
                    reader.conn.sock.setblocking(False)
                    reader.conn.sock.send(codec.encode(codec.STDIN, send_some_more))
        reader = durable.attach(agent, "hash")
        holds_by_attach = True
        assert at <= reader.attached["stdin_bytes"] <= len(data) and reader.attached["stdin_open"]
        at = reader.at = reader.attached["stdin_bytes"]
        if len(frozen) > 2:
            frozen.pop(0).thaw()
    for one in frozen:
        one.thaw()
    while at < len(data):
        send_some(reader, data[at:])
        at = len(data)
    reader.eof()
    reader.finish()
    assert reader.exit == (0, 0)
    assert reader.out.split()[0].decode() == hashlib.sha256(data).hexdigest()


def test_what_an_old_holder_had_not_published_is_dropped_for_good(agent):
    """Its worker stands still with frames before it, and goes on when another holds the
    input; and what it says then is nothing."""
    durable.start(agent, ["cat"], "take").close()
    old = durable.attach(agent, "take")
    old.stdin(b"first.")
    old.read_until(b"first.")
    with Frozen(durable.reader_pid(agent, old)):
        old.stdin(b"never.")
        new = durable.attach(agent, "take", at=0)
        assert new.attached["stdin_bytes"] == len(b"first.")
        new.stdin(b"second.")
        new.read_until(b"first.second.")
    old.until_event("input_taken")
    old.stdin(b"nor this.")
    old.eof()
    old.signal(signal.SIGKILL)
    new.stdin(b"third.")
    old.read_until(b"third.")
    new.eof()
    for reader in (old, new):
        reader.finish()
        assert reader.exit == (0, 0) and reader.out == b"first.second.third.", reader


def test_stdin_bytes_counts_what_the_program_got_and_no_more(agent):
    """A program that reads nothing: what is held for it is published."""
    with durable.start(agent, ["sleep", "600"], "deaf") as holder:
        send_some(holder, bytes(300000))
    durable.wait_alone(agent, "deaf")
    with durable.attach(agent, "deaf") as holder:
        assert holder.attached["stdin_bytes"] == 300000
        assert holder.attached["stdin_open"] is True


def test_those_who_do_not_hold_the_input_say_nothing_to_the_program(agent):
    with durable.start(agent, ["cat"], "words") as holder, durable.attach(agent, "words", input=False) as spectator:
        spectator.stdin(b"spectator")
        spectator.eof()
        spectator.ack(1 << 60)
        holder.stdin(b"holder")
        holder.eof()
        holder.finish()
        assert holder.out == b"holder"


# ---- who holds it --------------------------------------------------------------------------


def test_the_newest_who_wants_it_holds_the_input_and_the_one_before_is_told(agent):
    readers = [durable.start(agent, ["cat"], "newest")]
    for turn in range(5):
        readers.append(durable.attach(agent, "newest", at=0))
        readers[-2].until_event("input_taken")
        readers[-1].stdin(b"%d" % turn)
        for reader in readers:
            reader.read_until(b"%d" % turn)
    assert [len(reader.all_events("input_taken")) for reader in readers] == [1] * 5 + [0]
    readers[-1].eof()
    for reader in readers:
        reader.finish()
        assert reader.out == b"01234" and reader.exit == (0, 0)


def test_a_spectator_takes_the_input_from_nobody(agent):
    with durable.start(agent, ["cat"], "quiet") as holder:
        for _ in range(3):
            durable.attach(agent, "quiet", input=False).close()
        holder.stdin(b"x")
        holder.read_until(b"x")
        holder.eof()
        holder.finish()
        assert holder.out == b"x" and not holder.all_events("input_taken")


def test_a_takeover_waits_for_no_one_though_workers_stand_still(agent):
    """Not for the old holder's, and not for the owner's."""
    durable.start(agent, ["cat"], "still").close()
    old = durable.attach(agent, "still")
    owner = durable.owner_pid(agent, "still")
    with Frozen(durable.reader_pid(agent, old)), Frozen(owner):
        new = durable.attach(agent, "still")
        assert new.attached["stdin_bytes"] == 0
        new.stdin(b"later")
    new.read_until(b"later")
    new.close()
    old.close()


# ---- stdin_open -------------------------------------------------------------------------------


def test_stdin_is_open_until_eof_was_published(agent):
    script = "cat; echo end; exec sleep 600"
    with durable.sh(agent, script, "eof") as holder:
        assert durable.attach(agent, "eof", input=False).attached["stdin_open"] is True
        holder.stdin(b"x")
        holder.eof()
        holder.read_until(b"end")
    with durable.attach(agent, "eof") as reader:
        assert (reader.attached["stdin_open"], reader.attached["stdin_bytes"]) == (False, 1)


def test_stdin_is_not_open_where_start_said_so(agent):
    with durable.start(agent, ["sleep", "600"], "none", stdin=False):
        with durable.attach(agent, "none") as reader:
            assert reader.attached["stdin_open"] is False and reader.attached["stdin_bytes"] == 0


def test_stdin_is_not_open_once_the_program_has_closed_it(agent):
    with durable.sh(agent, "exec <&-; echo closed; sleep 600 & wait", "closes") as holder:
        holder.read_until(b"closed")

        def seen():
            holder.stdin(b"x" * 4096)
            with durable.attach(agent, "closes", input=False) as reader:
                return reader.attached["stdin_open"] is False
        wait_until(seen, message="stdin_open is false")


def test_stdin_of_a_terminal_is_always_open(agent):
    with durable.sh(agent, "read x; echo got; exec sleep 600", "tty", tty=True) as holder:
        holder.eof()
        holder.read_until(b"got")
        with durable.attach(agent, "tty", input=False) as reader:
            assert reader.attached["stdin_open"] is True and reader.attached["tty"] is True


def test_the_programs_input_stays_open_when_its_holder_goes(agent):
    with durable.start(agent, ["cat"], "open") as holder:
        holder.stdin(b"one.")
        holder.conn.half_close()
        holder.finish()
        assert holder.exit is None
    with durable.attach(agent, "open") as holder:
        holder.stdin(b"two.")
        holder.read_until(b"two.")
        assert durable.sessions(agent)["open"]["running"]


# ---- what had arrived before the host went ------------------------------------------------------


@pytest.mark.parametrize("begin", ["start", "attach"])
def test_frames_that_had_arrived_before_a_close_are_acted_on(agent, begin):
    """STDIN and EOF, of 700 KiB, which the program has not read yet."""
    data = random.Random(3).randbytes(700000)
    holder = durable.start(agent, ["sh", "-c", "sleep 0.5; exec sha256sum"], "arrived")
    if begin == "attach":
        holder.close()
        holder = durable.attach(agent, "arrived")
    holder.conn.send_raw(b"".join(codec.encode(codec.STDIN, data[i:i + 70000]) for i in range(0, len(data), 70000))
                         + codec.encode(codec.EOF))
    holder.close()
    reader = durable.attach(agent, "arrived", input=False).finish()
    assert reader.exit == (0, 0) and reader.out.split()[0].decode() == hashlib.sha256(data).hexdigest()


def test_a_signal_that_had_arrived_before_a_close_goes_out(agent):
    with durable.sh(agent, "trap 'echo usr1; exit 5' USR1; echo ready; while :; do sleep 0.05; done", "sig") as holder:
        holder.read_until(b"ready")
        holder.signal(signal.SIGUSR1)
    reader = durable.attach(agent, "sig", at=0).finish()
    assert reader.exit == (5, 0) and reader.out == b"ready\nusr1\n"


def test_an_ack_that_had_arrived_before_a_close_counts(agent):
    holder = durable.sh(agent, "head -c 400000 /dev/zero", "ack", buffer_bytes=65536, when_full="wait")
    holder.read_to(60000)
    holder.take_all()
    at = holder.offset
    holder.ack()
    holder.close()
    wait_until(lambda: durable.sessions(agent)["ack"]["offset"] > at + 60000, message="it goes on by the ACK")
    reader = durable.attach(agent, "ack", at=at)
    assert reader.attached["lost"] == 0
    while reader.take() is not None:
        if reader.exit is None and not reader.closed:
            reader.ack()
    assert reader.offset == 400000 and reader.exit == (0, 0)


def test_detach_is_answered_once_all_input_before_it_is_published(agent):
    holder = durable.start(agent, ["sh", "-c", "sleep 0.5; exec cat"], "detach")
    holder.conn.send_raw(b"".join(codec.encode(codec.STDIN, bytes(60000)) for _ in range(10)))
    assert holder.detach()["offset"] == holder.offset
    with durable.attach(agent, "detach") as reader:
        assert reader.attached["stdin_bytes"] == 600000
        reader.eof()
        reader.finish()
        assert len(reader.out) == 600000


# ---- beside the bytes ----------------------------------------------------------------------------


@pytest.mark.parametrize("begin", ["start", "attach"])
def test_signal_and_resize_go_beside_input_that_is_not_taken(agent, begin):
    """240 KiB before a terminal whose program reads nothing."""
    script = """stty raw -echo; trap 'echo usr1' USR1; trap 'stty size' WINCH; echo ready
                while :; do sleep 0.05; done"""
    holder = durable.sh(agent, script, "beside", tty=True)
    holder.read_until(b"ready")
    if begin == "attach":
        holder.close()
        holder = durable.attach(agent, "beside", tail=0)
    frames = b"".join(codec.encode(codec.STDIN, bytes(60000)) for _ in range(4))
    holder.conn.send_raw(frames)
    holder.signal(signal.SIGUSR1)
    holder.read_until(b"usr1")
    holder.resize(101, 41)
    holder.read_until(b"41 101")
    holder.signal(signal.SIGKILL)
    assert holder.finish().exit == (137, 9)


def test_signals_of_a_holder_come_in_their_order(agent):
    script = "trap 'echo 1' USR1; trap 'echo 2' USR2; echo ready; while :; do sleep 0.02; done"
    durable.sh(agent, script, "order").close()
    with durable.attach(agent, "order", at=0) as holder:
        holder.read_until(b"ready\n")
        holder.signal(signal.SIGSTOP)
        holder.signal(signal.SIGCONT)
        holder.signal(signal.SIGUSR1)
        holder.read_until(b"1\n")
        holder.signal(signal.SIGUSR2)
        holder.read_until(b"2\n")
        for _ in range(20):
            holder.signal(signal.SIGCONT)
        holder.signal(signal.SIGTERM)
        holder.finish()
        assert holder.exit == (143, 15)


# ---- a terminal -----------------------------------------------------------------------------------


def winches(reader):
    return reader.out.count(b"winch")


WINCH = "trap 'echo winch; stty size' WINCH; echo ready; while :; do sleep 0.05; done"


def test_first_resize_of_a_new_holder_to_the_size_that_is_there_has_the_screen_painted(agent):
    durable.sh(agent, WINCH, "winch", tty=True, members={"tty_width": 90, "tty_height": 30}).close()
    with durable.attach(agent, "winch", at=0) as holder:
        assert (holder.attached["columns"], holder.attached["rows"], holder.attached["tty"]) == (90, 30, True)
        holder.read_until(b"ready")
        holder.resize(90, 30)
        holder.read_until(b"winch\r\n30 90")
        holder.resize(90, 30)       # not the first, and no other size
        holder.resize(91, 30)
        holder.read_until(b"winch\r\n30 91")
        assert winches(holder) == 2
    with durable.attach(agent, "winch") as holder:
        assert (holder.attached["columns"], holder.attached["rows"]) == (91, 30)
        holder.resize(91, 30)
        holder.read_until(b"winch\r\n30 91")


def test_resize_of_a_plain_session_to_the_size_that_is_there_changes_nothing(agent):
    with agent.start(["sh", "-c", WINCH], tty=True, tty_width=90, tty_height=30) as conn:
        conn.read_output(b"ready")
        conn.send(codec.RESIZE, codec.resize(90, 30))
        conn.send(codec.RESIZE, codec.resize(91, 30))
        out = conn.read_output(b"30 91")
        assert out.count(b"winch") == 1
        conn.send(codec.SIGNAL, codec.signal_number(9))
        conn.result()


PAINTER = r"""
import fcntl, os, signal, struct, sys, termios, time, tty
tty.setraw(0)
def paint(*_):
    rows, columns = struct.unpack("HHHH", fcntl.ioctl(0, termios.TIOCGWINSZ, bytes(8)))[:2]
    text = "\033[H\033[2J"
    for row in range(1, rows + 1):
        text += "\033[%d;1H" % row + ("row %d of %d, %d wide." % (row, rows, columns)).ljust(columns - 1, "-") + "|"
    os.write(1, text.encode())
signal.signal(signal.SIGWINCH, paint)
paint()
while os.read(0, 1) != b"q":
    pass
"""


class Screen:
    """A terminal of few words: CR, LF, ESC [ H, ESC [ row ; column H, ESC [ 2 J."""

    def __init__(self, columns, rows):
        self.columns, self.rows = columns, rows
        self.clear()
        self.x = self.y = 0

    def clear(self):
        self.lines = [[" "] * self.columns for _ in range(self.rows)]

    def feed(self, text):
        while text:
            if text.startswith("\033["):
                end = next(i for i, c in enumerate(text[2:], 2) if c.isalpha())
                if text[end] == "J":
                    self.clear()
                else:
                    row, _, column = text[2:end].partition(";")
                    self.y, self.x = int(row or 1) - 1, int(column or 1) - 1
                text = text[end + 1:]
                continue
            if self.y < self.rows and self.x < self.columns:
                self.lines[self.y][self.x] = text[0]
            self.x += 1
            text = text[1:]
        return self

    def text(self):
        return ["".join(line) for line in self.lines]


def painted(columns, rows):
    return [("row %d of %d, %d wide." % (row, rows, columns)).ljust(columns - 1, "-") + "|"
            for row in range(1, rows + 1)]


@pytest.mark.parametrize("columns, rows", [(80, 24), (132, 50), (40, 10)])
def test_full_screen_program_is_whole_when_it_is_reattached_at_any_size(agent, columns, rows):
    cmd = ["/usr/bin/python3", "-I", "-S", "-c", PAINTER]
    with durable.start(agent, cmd, "screen", tty=True) as holder:
        holder.read_until(painted(80, 24)[-1].encode())
    with durable.attach(agent, "screen", tail=0) as holder:
        holder.resize(columns, rows)
        holder.read_until(painted(columns, rows)[-1].encode())
        last = holder.out.rindex(b"\033[H\033[2J")
        assert Screen(columns, rows).feed(holder.out[last:].decode()).text() == painted(columns, rows)
        holder.stdin(b"q")
        assert holder.finish().exit == (0, 0)


# ---- OUTPUT_ACK --------------------------------------------------------------------------------------


def test_acks_that_say_nothing_are_ignored(agent):
    """Under 8 bytes, lower than before, above what was sent, and of who holds nothing."""
    holder = durable.sh(agent, "head -c 1000000 /dev/zero", "acks", buffer_bytes=65536, when_full="wait")
    spectator = durable.attach(agent, "acks", input=False)
    holder.read_to(1)
    durable.wait_held_up(agent, "acks")
    holder.take_all()
    at = durable.wait_held_up(agent, "acks")
    holder.send(codec.OUTPUT_ACK, b"\xff" * 7)
    holder.send(codec.OUTPUT_ACK)
    holder.ack(1 << 62)
    holder.ack((1 << 64) - 1)
    spectator.ack(at)
    time.sleep(0.3)
    assert durable.sessions(agent)["acks"]["offset"] == at
    holder.send(codec.OUTPUT_ACK, struct.pack("<Q", holder.offset) + b"more")
    holder.ack(0)
    while holder.take() is not None:
        if holder.exit is None and not holder.closed:
            holder.ack()
    assert holder.offset == 1000000 and holder.exit == (0, 0) and not holder.lost


def test_in_wait_the_from_of_an_attach_with_input_is_an_ack(agent):
    durable.sh(agent, "head -c 1000000 /dev/zero", "from", buffer_bytes=65536, when_full="wait").close()
    at = durable.wait_held_up(agent, "from")
    spectator = durable.attach(agent, "from", at=at, input=False)
    time.sleep(0.3)
    assert durable.sessions(agent)["from"]["offset"] == at
    spectator.close()
    durable.attach(agent, "from", at=at).close()
    wait_until(lambda: durable.sessions(agent)["from"]["offset"] > at, message="it goes on")
