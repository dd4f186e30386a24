# SPDX-License-Identifier: MIT
"""The example of a client in Python, tests/examples/python: the transcripts are held against it
(and so against libvmmguest, whose it is), and it has many sessions on one loop."""

import asyncio
import contextlib
import errno
import glob
import importlib
import os
import re
import sys
import textwrap

import pytest

import transcript_agent
from agent import HERE, TIMEOUT, agent_binary
from relay import Relay
from transcript_agent import Transcript
from transcripts import FOLDER

# It takes the shared object, which one with sanitizers is not for a Python without.
pytestmark = pytest.mark.plain_build
AGENT_OPTIONS = ("--workers=64",)
FORGETS_DURABLE = True

SESSIONS = int(os.environ.get("VGA_EXAMPLE_SESSIONS", "100"))
DURABLE, CUTS = map(int, os.environ.get("VGA_EXAMPLE_DURABLE", "4,3").split(","))


@pytest.fixture(scope="module")
def example():
    os.environ.setdefault("VMM_GUEST_LIBRARY", os.path.join(os.path.dirname(agent_binary()), "libvmmguest.so"))
    sys.path.insert(0, os.path.join(HERE, "../examples/python"))
    return importlib.import_module("vmm_guest")


def in_loop(coroutine, timeout=TIMEOUT):
    return asyncio.run(asyncio.wait_for(coroutine, timeout))


def test_the_lines_that_the_readme_shows_do_what_they_say(example, agent, tmp_path, capsys):
    with open(os.path.join(HERE, "../../README.md"), encoding="utf-8") as readme:
        lines = re.search(r"^```python\n(.*?)^```", readme.read(), re.MULTILINE | re.DOTALL)[1]
    own = {"unix:/run/vm/v.sock": "unix:" + agent.path, "/etc/motd": str(tmp_path / "motd")}
    for shown, value in own.items():
        assert shown in lines
        lines = lines.replace(shown, value)
    names = {}
    exec("async def shown():\n" + textwrap.indent(lines, "    "), names)
    in_loop(names["shown"]())
    said = capsys.readouterr().out
    assert (tmp_path / "motd").read_bytes() == b"hello\n"
    assert all(word in said for word in (os.uname().release, "hello", "configured")), said


# ---- transcripts -------------------------------------------------------------------

EXEC_ERRORS = {errno.EBUSY: "busy", errno.ENOENT: "missing", errno.EACCES: "cannot_run", errno.EIO: "worker_lost",
               errno.ECONNRESET: "closed", errno.ETIMEDOUT: "deadline"}


class Client:
    """Does what a transcript's "given" says, and says what came of it."""

    def __init__(self, example, path):
        self.example, self.path = example, path

    async def call(self, given):
        given = dict(given)
        options = {"timeout_ms": given.pop("deadline_ms", 0), "retry_ms": given.pop("retry_ms", 0)}
        guest = self.example.Guest("unix:" + self.path, **options)
        what = given.pop("do")
        try:
            return await getattr(self, what)(guest, given)
        except self.example.GuestError as error:
            if what in ("put", "get") or given.get("frame", "").startswith("FILE_"):
                word = "closed" if error.errno == errno.ECONNRESET else errno.errorcode[error.errno]
                return {"error": word, "text": str(error)}
            return {"error": "failed" if what == "request" else EXEC_ERRORS.get(error.errno, "refused")}

    async def run(self, guest, given):
        steps = given.pop("steps", None)
        data = given.get("stdin", b"")
        if isinstance(data, str):
            data = given.pop("stdin").encode() * given.pop("stdin_times", 1)
        cmd = given.pop("cmd")
        async with guest.start(cmd, **given) as program:
            return await self.follow(program, steps, data if isinstance(data, bytes) else b"")

    async def attach(self, guest, given):
        steps, data = given.pop("steps", None), given.pop("stdin", "").encode()
        async with guest.attach(**given) as program:
            return await self.follow(program, steps, data if given.get("input", True) else None)

    async def follow(self, program, steps, data):
        """On to the end: by steps, or with all of the input at once."""
        kept = {"stdout": b"", "stderr": b""}

        async def until(text):
            async for name, value in program:
                if name in kept:
                    kept[name] += value
                if text is not None and text in kept["stdout"]:
                    return

        feeder = None
        if steps is None and data is not None:
            feeder = asyncio.ensure_future(program.feed(data))
        for step in steps or []:
            if "await" in step:
                await until(step["await"].encode())
            elif "stdin" in step:
                await program.write(step["stdin"].encode())
            elif "eof" in step:
                await program.eof()
            elif "resize" in step:
                await program.resize(*step["resize"])
            elif "signal" in step:
                await program.signal(step["signal"])
            elif "detach" in step:
                await program.detach()
                return {"error": "detached"}
            elif "leave" in step:
                return {"error": "left", "stdout": kept["stdout"].decode()}
        await until(None)
        if feeder:
            await feeder
        return {"error": None, "code": program.code, **{name: value.decode() for name, value in kept.items()}}

    async def put(self, guest, given):
        data = given.pop("data").encode() * given.pop("data_times", 1)
        given.pop("steps", None)
        await guest.put(given.pop("path"), data, **given)
        return {"error": None}

    async def get(self, guest, given):
        return {"error": None, "data": (await guest.get(given.pop("path"), **given)).decode()}

    async def request(self, guest, given):
        answer = await guest.request(given["frame"], **given.get("json", {}))
        return {"error": None, "answer": answer}


# What this client has no function for, or does otherwise.
LEFT_OUT = {
    "connect", "connect-refused", "quiesce", "quiesce-thawed", "file-watch", "clock-sync", "file-tree",
    "file-write-worker-lost", "file-write-shutdown"}


def whole(outcome):
    """The outcome, what is long in all its length."""
    outcome = dict(outcome)
    for name in ("stdout", "data"):
        if name + "_times" in outcome:
            outcome[name] *= outcome.pop(name + "_times")
    return outcome


def differs(wanted, got):
    """What of the outcome the client reports otherwise."""
    wanted = whole(wanted)
    names = ["error"] if wanted["error"] not in (None, "left") else ["error", "code", "stdout", "stderr", "data"]
    wrong = {name: (wanted[name], got.get(name)) for name in names if name in wanted and name in got | {"error": 0}
             and wanted[name] != got.get(name)}
    return {name: tuple(str(value)[:200] for value in pair) for name, pair in wrong.items()}


def paths():
    return [path for path in sorted(glob.glob(os.path.join(FOLDER, "*.jsonl")))
            if os.path.basename(path)[:-6] not in LEFT_OUT]


def is_long(script):
    return sum(len(item.raw) for scene in script.connections for item in scene.items) > 65536


@pytest.mark.parametrize("pieces", [0, 1], ids=["whole", "by_the_byte"])
def test_the_transcripts_say_that_it_is_a_client(example, tmp_path, pieces):
    options = transcript_agent.argparse.Namespace(pieces=pieces, patience=TIMEOUT)
    wrong = {}

    async def all_of(agent):
        for stand in agent.stands:
            if pieces and is_long(stand.transcript):
                continue
            for given, outcome in stand.transcript.calls:
                got = await Client(example, stand.path).call(given)
                if difference := differs(outcome, got):
                    wrong[stand.transcript.name] = difference

    with transcript_agent.Agent(str(tmp_path), paths(), options) as agent:
        in_loop(all_of(agent), timeout=4 * TIMEOUT)
    assert wrong == {}
    assert [one for one in agent.results if one[1] is not None] == []
    assert len(agent.results) > 60


# ---- sessions by the hundred ---------------------------------------------------------


def test_many_sessions_on_one_loop(example, agent):
    async def run_all():
        guest = example.Guest("unix:" + agent.path)
        places = asyncio.Semaphore(32)

        async def one(number):
            async with places:
                done = await guest.run(["sh", "-c", "cat; exit $1", "sh", str(number % 100)], b"%d" % number)
                assert (done.code, done.stdout, done.stderr) == (number % 100, b"%d" % number, b""), done
                return done.exited["reason"]

        return await asyncio.gather(*map(one, range(SESSIONS)))

    before = len(os.listdir("/proc/self/fd"))
    assert in_loop(run_all(), timeout=20 * TIMEOUT) == ["exited"] * SESSIONS
    assert len(os.listdir("/proc/self/fd")) <= before


def test_durable_sessions_are_come_back_to_and_nothing_is_lost_or_doubled(example, agent):
    """Each is cut CUTS times, amid its input and output."""
    blocks = [b"%06d\n" % number * 4000 for number in range(CUTS + 1)]

    async def one(number, relay):
        guest = example.Guest("unix:" + relay.path, reconnect_ms=int(TIMEOUT * 1000))
        name = "job%d" % number
        async with guest.start(["cat"], name=name, durable={}) as session:
            came = bytearray()

            async def read_to(count):
                async for stream, value in session:
                    assert stream in ("stdout", "status"), (stream, value)
                    if stream == "stdout":
                        came.extend(value)
                    if len(came) >= count:
                        break

            for block in blocks[:-1]:
                writer = asyncio.ensure_future(session.write(block))
                await read_to(len(came) + 1)
                relay.cut()
                await asyncio.gather(writer, read_to((blocks.index(block) + 1) * len(block)))
            await session.write(blocks[-1])
            await session.eof()
            await read_to(1 << 40)
            assert session.code == 0
            return bytes(came) == b"".join(blocks), relay.cuts

    with contextlib.ExitStack() as stack:
        relays = [stack.enter_context(Relay(agent.path)) for _ in range(DURABLE)]

        async def run_all():
            return await asyncio.gather(*[one(number, relay) for number, relay in enumerate(relays)])

        assert in_loop(run_all(), timeout=20 * TIMEOUT) == [(True, CUTS)] * DURABLE


def test_a_task_that_is_cancelled_ends_its_program(example, agent):
    async def cancel():
        guest = example.Guest("unix:" + agent.path)
        task = asyncio.ensure_future(guest.run(["sleep", "600"]))
        while not (await guest.request("STATUS_REQ"))["workers"]["exec"]:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        while (await guest.request("STATUS_REQ"))["workers"]["exec"]:
            await asyncio.sleep(0)
        return task.cancelled()

    assert in_loop(cancel())
