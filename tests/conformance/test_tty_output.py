# SPDX-License-Identifier: MIT
"""What a program writes to its terminal: in how many frames it comes, that none of it is
held back, and that all of it comes."""

import os

import pytest

import codec
import durable
from agent import is_running, is_waiting, stat_of, wait_until
from faults import Fault

FORGETS_DURABLE = True

# More than one read of a terminal gives, and less than its two buffers hold, of 4 and 8 KiB.
LINES = b"".join(b"line %03d of what is written while nobody reads\n" % i for i in range(150))
PAGE = 4096

# How often a terminal is read for one frame.
READS = 16

# Says who has started it; writes each line by itself when it is told to, and says when it
# has written the last.
WRITER = """
import os, sys, tty
tty.setraw(1)
os.write(1, b"of %d\\n" % os.getppid())
with open(sys.argv[1], "rb") as go:
    lines = go.read().splitlines(True)
for line in lines:
    os.write(1, line)
os.close(os.open(sys.argv[2], os.O_CREAT | os.O_WRONLY))
exec(sys.argv[3])
"""
STAYS = "os.read(0, 1)"
ENDS = "os._exit(3)"

NUMBERS = 200000


def numbers(first="1"):
    """A program that writes without a pause, and what it writes."""
    return ["sh", "-c", "stty raw; exec seq %s %d" % (first, NUMBERS)]


WRITTEN = b"".join(b"%d\n" % i for i in range(1, NUMBERS + 1))

both = pytest.mark.parametrize("members", [{}, {"name": "tty", "durable": {}}], ids=["plain", "durable"])


class Writer:
    """A session on a terminal whose program has come to its wait."""

    def __init__(self, agent, tmp_path, then, members):
        self.go, self.done = tmp_path / "go", tmp_path / "done"
        os.mkfifo(self.go)
        command = ["/usr/bin/python3", "-I", "-S", "-c", WRITER, str(self.go), str(self.done), then]
        self.conn = agent.start(command, tty=True, report=True, **members)
        self.pid = self.conn.expect(codec.STATUS).json()["pid"]
        self.worker = int(self.conn.read_output(b"\n").split()[-1])

    def write(self):
        self.go.write_bytes(LINES)

    def write_all(self):
        self.write()
        wait_until(self.done.exists, message="the last line is written")

    def read(self):
        """The payloads of its output, as far as all LINES."""
        payloads = []
        while len(b"".join(payloads)) < len(LINES):
            payloads.append(self.conn.expect(codec.STDOUT).payload)
        return payloads


@both
def test_what_stands_in_the_terminal_is_one_frame(agent, tmp_path, members):
    assert PAGE < len(LINES) < 2 * PAGE
    writer = Writer(agent, tmp_path, STAYS, members)
    with durable.Frozen(writer.worker):
        writer.write_all()
    assert writer.read() == [LINES]
    writer.conn.send(codec.STDIN, b"x")
    assert writer.conn.result().code == 0


@both
def test_what_stands_in_the_terminal_of_an_ended_program_is_one_frame(agent, tmp_path, members):
    writer = Writer(agent, tmp_path, ENDS, members)
    with durable.Frozen(writer.worker):
        writer.write_all()
        wait_until(lambda: not is_running(writer.pid), message="the program's end")
    assert writer.read() == [LINES]
    result = writer.conn.result()
    assert result.code == 3 and result.stdout.endswith(LINES) and result.stdout.count(LINES) == 1


@both
def test_a_line_is_not_held_back_by_a_program_that_writes_without_a_pause(agent, tmp_path, members):
    """Each read gives a byte, and there is always another."""
    writer = Writer(agent, tmp_path, STAYS, members)
    with Fault(writer.worker, "read", "retval=1", when="1+"):
        writer.write()
        sizes = [len(writer.conn.expect(codec.STDOUT).payload) for _ in range(3)]
    assert sizes == 3 * [READS]
    writer.conn.close()


def test_a_frame_of_a_terminal_has_at_most_60_kib(agent):
    """However fast the program writes while it is read."""
    with agent.start(numbers(), tty=True) as conn:
        result = conn.result()
    assert result.code == 0 and result.stdout == WRITTEN
    assert max(len(frame.payload) for frame in result.frames) <= 60 * 1024


def test_a_host_that_reads_nothing_stops_a_terminals_program_and_loses_nothing(agent):
    with agent.start(numbers(), tty=True, report=True) as conn:
        pid = conn.expect(codec.STATUS).json()["pid"]
        worker = stat_of(pid)[1]
        wait_until(lambda: stat_of(pid)[0] == "S" and is_waiting(worker), message="both wait")
        result = conn.result()
    assert result.code == 0 and result.stdout == WRITTEN


def test_a_journal_with_little_room_gets_all_of_a_terminals_output(agent):
    """It takes no more than it has room for until what is there is acknowledged."""
    room = 64 * 1024
    with durable.start(agent, numbers(), "room", tty=True, when_full="wait", buffer_bytes=room) as reader:
        while reader.exit is None:
            if reader.offset < len(WRITTEN):
                # All of it comes without a word, and nothing beyond.
                reader.read_to(min(len(WRITTEN), reader.offset + room - PAGE))
                reader.ack()
            else:
                reader.take()
        reader.finish()
    assert reader.code == 0 and reader.data == WRITTEN


def test_a_spectator_sees_what_the_holder_of_a_terminal_sees(agent):
    script = "stty raw; read go; exec seq 1 %d" % NUMBERS
    with durable.sh(agent, script, "seen", tty=True, buffer_bytes=16 << 20) as holder:
        with durable.attach(agent, "seen", input=False) as spectator:
            holder.stdin(b"\n")
            assert holder.finish().code == spectator.finish().code == 0
            assert holder.data.endswith(WRITTEN) and spectator.data == holder.data[spectator.first:]
