# SPDX-License-Identifier: MIT
"""vmm-guest-ctl is held against the golden transcripts: what a command says to the agent, and what
it makes of the answers."""

import os
import subprocess

import pytest

import client
from test_library_transcripts import StandIn, bytes_of, lines_of, names

# Of START, the options that say it; all others that a transcript has make it one for other clients.
OPTIONS = {
    "working_dir": lambda value: ["-w", value],
    "user": lambda value: ["-u", value],
    "timeout_seconds": lambda value: ["--timeout", str(value)],
    "env": lambda value: [word for name, text in value.items() for word in ("-e", name + "=" + text)],
    "limits": lambda value: [word for name, number in value.items() for word in ("--limit", "%s=%d" % (name, number))],
    # Where the program's own output is not disturbed by it.
    "report": lambda value: ["--report=" + os.devnull] if value else [],
}
CODES = {"missing": 127, "cannot_run": 126, "busy": 125, "refused": 125, "worker_lost": 125, "closed": 125}

REQUESTS = {
    "FILE_STAT_REQ": (("path",), lambda json: ["stat", json["path"]]),
    "FILE_MKDIR_REQ": (("path", "mode"), lambda json: ["mkdir", *mode_of(json), json["path"]]),
    "FILE_REMOVE_REQ": (("path", "recursive"), lambda json: ["rm", *(["-r"] if json.get("recursive") else []), json["path"]]),
    "FILE_MOVE_REQ": (("from", "to"), lambda json: ["mv", "-T", json["from"], json["to"]]),
    "STATUS_REQ": (("guest",), lambda json: ["status" if json.get("guest") else "wait"]),
    "KILL": (("session", "signal"), lambda json: ["kill", "-s", str(json["signal"]), str(json["session"])]),
    "FORGET": (("name",), lambda json: ["forget", json["name"]]),
    "WAIT_PORT": (("port", "timeout_ms"),
                  lambda json: ["wait-port", str(json["port"]), "--timeout", str(json.get("timeout_ms", 0) // 1000)]),
    "SHUTDOWN": (("action", "grace_seconds"),
                 lambda json: ["shutdown", "--" + json["action"], "--grace", str(json["grace_seconds"])]),
    "THAW": ((), lambda json: ["thaw"]),
}


def mode_of(members):
    return ["-m", "%o" % members["mode"]] if "mode" in members else []


def command_of(given, with_input=False):
    """The command that does what a client is asked to do; None where there is none. WITH_INPUT: though that is empty."""
    members = {k: v for k, v in given.items() if k not in ("do", "cmd", "stdin", "stdin_times", "stdin_b64")}
    if given["do"] == "run" and isinstance(given.get("stdin", ""), str) and set(members) <= set(OPTIONS):
        options = [word for member, value in members.items() for word in OPTIONS[member](value)]
        return ["exec", *(["-i"] if with_input or given.get("stdin") or "stdin_b64" in given else []), *options, "--", *given["cmd"]]
    if given["do"] == "get" and set(members) <= {"path", "offset", "length"}:
        return ["cat", *(word for name in ("offset", "length") if name in given
                         for word in ("--" + name, str(given[name]))), given["path"]]
    known, command = REQUESTS.get(given.get("frame"), ((), None))
    if given["do"] == "request" and command is not None and set(given.get("json", {})) <= set(known):
        return command(given.get("json", {}))
    return None


def one_call(name):
    """(given, outcome) where a transcript has no more than one of them."""
    lines = lines_of(name)
    givens, outcomes = ([line[kind] for line in lines if kind in line] for kind in ("given", "outcome"))
    return (givens[0], outcomes[0]) if len(givens) == 1 else (None, None)


NAMES = [name for name in names() if one_call(name)[0] and command_of(one_call(name)[0])]


@pytest.mark.parametrize("name", NAMES)
def test_a_transcript_is_what_a_command_says_and_makes_of_it(name, tmp_path):
    given, outcome = one_call(name)
    stand_in = StandIn(tmp_path, name)
    # Without -i there is none, which is as good as an end that is said at once.
    command = command_of(given, not any(line.get("frame") == "EOF" for line in lines_of(name)))
    done = subprocess.run([client.ctl_binary(), "-a", "unix:" + stand_in.path, *command],
                          input=bytes_of(given, "stdin") or b"", capture_output=True, timeout=300, check=False)
    try:
        check(given, outcome, done)
    finally:
        stand_in.end()


def check(given, outcome, done):
    error = outcome["error"]
    if given["do"] == "run":
        assert done.returncode == (outcome["code"] if error is None else CODES[error]), done
        if error is None:
            # What ended it from outside is said behind all that it has written.
            assert done.stdout == bytes_of(outcome, "stdout") and done.stderr.startswith(bytes_of(outcome, "stderr"))
            assert len(done.stderr) == len(bytes_of(outcome, "stderr")) or ends_of(outcome) & {"oom", "timeout", "shutdown"}
        return
    assert (done.returncode == 0) == (error is None), done
    if "text" in outcome:
        assert outcome["text"].split(": ")[-1].encode() in done.stderr
    if given["do"] == "get" and error is None:
        assert done.stdout == bytes_of(outcome, "data")


def ends_of(outcome):
    return {status.get("reason") for status in outcome.get("status", [])}


def test_the_commands_have_transcripts():
    """That there are some, of each kind: nobody has left them all out."""
    commands = {command_of(one_call(name)[0])[0] for name in NAMES}
    assert commands == {"exec", "cat", "stat", "mkdir", "rm", "mv", "status", "wait", "kill", "forget", "wait-port",
                        "shutdown", "thaw"}
    assert len(NAMES) > 40
