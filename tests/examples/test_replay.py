# SPDX-License-Identifier: MIT
"""Each client is held against the transcripts: what it sends, and what it makes of the answers."""

import argparse
import base64
import glob
import json
import os

import pytest

import transcript_agent
from transcript_agent import FRAMES, Transcript

PATHS = sorted(glob.glob(os.path.join(transcript_agent.default_folder(), "*.jsonl")))

# What the clients have a function for. A transcript of anything else is left out.
MEMBERS = {
    "run": {"cmd", "stdin", "env", "working_dir", "user", "tty", "tty_width", "tty_height", "timeout_seconds",
            "deadline_ms", "retry_ms", "steps", "report"},
    "put": {"path", "mode", "data", "data_b64", "data_times"},
    "get": {"path"},
    "request": {"frame", "json"},
}
STEPS = {"await", "stdin", "eof", "resize", "signal", "leave"}
# Requests that are more than one frame and an answer.
TALKS = {"CONNECT", "ATTACH", "QUIESCE", "START"}


def read(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def one(lines, name):
    return next((line[name] for line in lines if name in line), None)


def is_ours(lines):
    given = one(lines, "given") or {}
    if not lines[0].get("client", True) or set(given) - {"do"} - MEMBERS.get(given.get("do"), set()):
        return False
    if given["do"] not in MEMBERS or given.get("stdin") is False or any(set(step) - STEPS for step in given.get("steps", [])):
        return False
    if given["do"] == "request":
        return lines[0]["port"] == 52 and given["frame"] not in TALKS
    return not any("connection" in line for line in lines)


NAMES = [lines[0]["transcript"] for lines in map(read, PATHS) if is_ours(lines)]

# Byte by byte a megabyte is a million reads, which prove no more than the first thousand.
LONG = 65536


def is_long(path):
    return sum(len(item.raw) for scene in Transcript(path).connections for item in scene.items) > LONG


SHORT_NAMES = [os.path.basename(path)[:-6] for path in PATHS if os.path.basename(path)[:-6] in NAMES and not is_long(path)]


def step_words(step):
    (name, value), = step.items()
    if name in ("await", "stdin"):
        return f"--step={name}={value.encode().hex()}"
    if name == "resize":
        return f"--step=resize={value[0]}x{value[1]}"
    return f"--step={name}={value}" if name == "signal" else f"--step={name}"


def data_of(given, name):
    data = base64.b64decode(given[name + "_b64"]) if name + "_b64" in given else given.get(name, "").encode()
    return data * given.get(name + "_times", 1)


def arguments(given):
    """How "drive" is called for it: options, and what stands behind them."""
    options = []
    for member, option in (("deadline_ms", "deadline"), ("retry_ms", "boot")):
        if member in given:
            options.append(f"--{option}={given[member]}")
    if given["do"] in ("put", "get"):
        return options + ([f"--mode={given['mode']}"] if "mode" in given else []), [given["path"]]
    if given["do"] == "request":
        return options, [str(FRAMES[given["frame"]]), *([json.dumps(given["json"], separators=(",", ":"))] if "json" in given else [])]
    options += [f"--env={name}={value}" for name, value in given.get("env", {}).items()]
    for member, option in (("working_dir", "cwd"), ("user", "user"), ("timeout_seconds", "timeout")):
        if member in given:
            options.append(f"--{option}={given[member]}")
    if given.get("tty"):
        options.append(f"--tty={given.get('tty_width', 80)}x{given.get('tty_height', 24)}")
    return options + [step_words(step) for step in given.get("steps", [])], given["cmd"]


def error_word(outcome, given):
    """The transcripts' word for what the client made of it."""
    failure = outcome.get("failure")
    if failure == "refused":
        lost = outcome["text"].startswith("worker lost")
        return {127: "missing", 126: "cannot_run", 125: "worker_lost" if lost else "refused"}[outcome["code"]]
    if outcome.get("text", "").startswith("EBUSY") or failure == "file":
        return outcome["text"].partition(":")[0]
    if failure is None and given["do"] == "request" and outcome["code"] != 0:
        return "failed"
    return {"lost": "closed"}.get(failure, failure)


def compare(outcome, given, wanted):
    assert error_word(outcome, given) == wanted["error"], outcome
    if wanted["error"] in ("closed", "deadline"):
        return
    got = {name: outcome.get(name) for name in ("code", "signal")}
    got |= {"stdout": outcome["stdout"], "stderr": outcome["stderr"], "data": outcome["stdout"]}
    if wanted["error"] is None:
        for member in {"code", "signal"} & set(wanted):
            assert got[member] == wanted[member], outcome
    for stream in ("stdout", "stderr", "data"):
        if given["do"] in ("run", "get") and {stream, stream + "_b64"} & set(wanted):
            assert got[stream] == data_of(wanted, stream)
    if wanted.get("status") and given["do"] == "request":
        assert outcome["status"] == wanted["status"][-1]
    if "text" in wanted:
        assert outcome["text"] == wanted["text"]


@pytest.mark.parametrize("pieces,names", [(0, NAMES), (1, SHORT_NAMES)], ids=["whole", "bytewise"])
def test_the_client_says_and_reports_what_the_transcripts_have(port, tmp_path, pieces, names):
    options = argparse.Namespace(pieces=pieces, patience=60.0)
    wrong = []
    with transcript_agent.Agent(tmp_path, PATHS, options) as agent:
        for name in names:
            lines = read(next(path for path in PATHS if os.path.basename(path) == name + ".jsonl"))
            given = one(lines, "given")
            flags, args = arguments(given)
            data = data_of(given, "data" if given["do"] == "put" else "stdin")
            outcome = port.do(f"unix:{tmp_path}/{name}", given["do"], *args, stdin=data, options=flags)
            try:
                compare(outcome, given, one(lines, "outcome"))
            except AssertionError as error:
                wrong.append(f"{name}: {error}")
    wrong += [f"{name}: {what}" for name, what in agent.results if what]
    assert not wrong, "\n".join(wrong)
    assert sorted(name for name, _ in agent.results) == sorted(names)


def test_there_are_transcripts_of_all_that_the_clients_can_do():
    done = {one(read(path), "given")["do"] for path in PATHS if os.path.basename(path)[:-6] in NAMES}
    assert done == set(MEMBERS)
