# SPDX-License-Identifier: MIT
"""Each client against the agent of the build directory."""

import hashlib
import os
import subprocess
import time

import pytest

from agent import Agent

MIB = 1 << 20

# More than all buffers on the way together, so that it stops where nobody reads.
LONG = os.urandom(MIB) * 8


@pytest.fixture(scope="module", name="agent")
def an_agent():
    with Agent("--workers=6", "--max-file-mib=4") as agent:
        yield agent


@pytest.fixture(name="ask")
def ask_by_the_port(port, agent):
    def ask(action, *args, **more):
        return port.do("unix:" + agent.path, action, *args, **more)
    return ask


def test_the_first_answer(port, agent):
    said = subprocess.run([*port.first, "unix:" + agent.path], timeout=120, capture_output=True, check=True)
    assert said.stdout == b"hello\nexit code 0\n" and not said.stderr


def test_output_and_exit_code_come_back(ask):
    outcome = ask("run", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (outcome["stdout"], outcome["stderr"]) == (b"out\n", b"err\n")
    assert (outcome["code"], outcome["signal"], outcome.get("failure")) == (3, 0, None)


def test_what_is_asked_for_of_a_program_is_so(ask):
    outcome = ask("run", "sh", "-c", 'printf "%s|%s|%s\\n" "$X" "$(pwd)" "$(id -u)"',
                  options=['--env=X=a "b" \\c=d', "--cwd=/tmp", "--user=65534"])
    assert outcome["stdout"] == b'a "b" \\c=d|/tmp|65534\n'


def test_words_of_every_kind_arrive(ask):
    words = ["quote\"", "back\\slash", "new\nline", "tab\t", "\x01", "\x7f", "grüße", "\U0001f600", ""]
    outcome = ask("run", "printf", "%s|", *words)
    assert outcome["stdout"].decode() == "".join(word + "|" for word in words)


def test_long_input_comes_back_while_it_goes_out(ask):
    outcome = ask("run", "cat", stdin=LONG)
    assert hashlib.sha256(outcome["stdout"]).digest() == hashlib.sha256(LONG).digest()
    assert outcome["code"] == 0


def test_a_program_that_ends_before_its_input_does_is_no_failure(ask):
    outcome = ask("run", "head", "-c", "5", stdin=LONG)
    assert (outcome["stdout"], outcome["code"], outcome.get("failure")) == (LONG[:5], 0, None)


def test_a_program_that_leaves_its_input_is_no_failure(ask):
    """Its end comes, and the way to it is full."""
    outcome = ask("run", "sh", "-c", "exec 0</dev/null; echo done", stdin=LONG)
    assert (outcome["stdout"], outcome["code"], outcome.get("failure")) == (b"done\n", 0, None)


def test_a_death_by_signal_is_told(ask):
    outcome = ask("run", "sh", "-c", "kill -9 $$")
    assert (outcome["code"], outcome["signal"]) == (137, 9)


def test_a_signal_is_passed_on(ask):
    steps = ["--step=await=" + b"ready".hex(), "--step=signal=15"]
    outcome = ask("run", "sh", "-c", "trap 'echo caught; exit 7' TERM; echo ready; while :; do sleep 0.05; done",
                  options=steps)
    assert (outcome["stdout"], outcome["code"]) == (b"ready\ncaught\n", 7)


def test_a_terminal_has_its_size_and_gets_another(ask):
    steps = ["--tty=90x30", "--step=await=" + b"30 90\r\n".hex(), "--step=resize=100x40",
             "--step=stdin=" + b"x\n".hex(), "--step=await=" + b"40 100\r\n".hex(), "--step=eof"]
    outcome = ask("run", "sh", "-c", "stty size; read x; stty size; cat", options=steps)
    assert (outcome["stdout"], outcome["code"]) == (b"30 90\r\nx\r\n40 100\r\n", 0)


def test_the_guest_s_own_time_limit_is_told_of(ask):
    outcome = ask("run", "sleep", "600", options=["--timeout=1"])
    assert (outcome["code"], outcome["signal"], outcome.get("failure")) == (137, 9, None)


@pytest.mark.parametrize("code", [125, 126, 127])
def test_a_program_s_own_code_is_not_the_agent_s(ask, code):
    outcome = ask("run", "sh", "-c", f"echo busy: all workers are in use >&2; exit {code}")
    assert (outcome["code"], outcome.get("failure")) == (code, None)


def test_what_can_not_be_run_is_refused(ask):
    for args, options, code in ((["/nope"], [], 127), (["/tmp"], [], 126), (["true"], ["--user=nobody-is-so"], 126),
                                ([""], [], 125)):
        outcome = ask("run", *args, options=options)
        assert (outcome.get("failure"), outcome["code"]) == ("refused", code), outcome
        assert outcome["text"] and outcome["text"] == outcome["stderr"].decode().strip()


def test_no_place_is_told_as_busy(port):
    with Agent("--workers=4") as agent:
        held = []
        while True:
            conn = agent.start(["sh", "-c", "echo here; exec sleep 600"])
            if conn.recv().payload != b"here\n":
                conn.close()            # it is what the agent says of being busy
                break
            held.append(conn)
        outcome = port.do("unix:" + agent.path, "run", "true")
        for conn in held:
            conn.close()
    assert outcome["failure"] == "busy", outcome
    assert outcome["text"].startswith("busy: "), outcome


def is_gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize("how", ["--step=leave", "--deadline=3000"])
def test_a_program_dies_with_the_interest_in_it(port, agent, tmp_path, how):
    """Whether its host leaves it or gives it up. It has told its pid in time, or it is not begun."""
    steps = [f"--step=await={b'ready'.hex()}", how] if "leave" in how else [how]
    outcome = port.do("unix:" + agent.path, "run", "sh", "-c", f"echo $$ >{tmp_path}/pid; echo ready; exec sleep 600",
                      options=steps)
    assert outcome["failure"] in ("left", "deadline"), outcome
    if not (tmp_path / "pid").exists():
        return
    pid = int((tmp_path / "pid").read_text() or 0)
    end = time.monotonic() + 60
    while pid and not is_gone(pid):
        assert time.monotonic() < end, f"{pid} lives on"
        time.sleep(0.02)


def test_a_file_goes_there_and_comes_back(ask, tmp_path):
    path = str(tmp_path / "new/file")
    data = LONG[:3 * MIB + 1]
    assert ask("put", path, stdin=data, options=["--mode=416"]).get("failure") is None
    assert os.stat(path).st_mode & 0o7777 == 0o640
    assert ask("get", path)["stdout"] == data


def test_an_empty_file_goes_there_and_comes_back(ask, tmp_path):
    path = str(tmp_path / "empty")
    assert ask("put", path).get("failure") is None
    assert os.stat(path).st_size == 0 and os.stat(path).st_mode & 0o7777 == 0o644
    outcome = ask("get", path)
    assert (outcome["stdout"], outcome.get("failure")) == (b"", None)


def test_what_is_wrong_with_a_file_is_told(ask, tmp_path):
    outcome = ask("get", "/nope")
    assert (outcome["failure"], outcome["text"]) == ("file", "ENOENT: /nope")
    outcome = ask("put", str(tmp_path), stdin=b"x")
    assert outcome["failure"] == "file" and outcome["text"].startswith("EISDIR")


def test_an_upload_that_is_refused_in_the_middle_says_why(ask, tmp_path):
    outcome = ask("put", str(tmp_path / "large"), stdin=LONG)
    assert outcome["failure"] == "file" and outcome["text"].startswith("EFBIG: "), outcome
    assert not (tmp_path / "large").exists()


@pytest.mark.parametrize("action", ["put", "run"])
def test_a_source_that_fails_is_no_end(ask, tmp_path, action):
    """The old file stays; a program is not told that this was all."""
    path = tmp_path / "file"
    path.write_text("old")
    args = [str(path)] if action == "put" else ["sh", "-c", f"cat >/dev/null; echo new >{path}; sleep 600"]
    outcome = ask(action, *args, stdin=LONG[:MIB], options=["--failing"])
    assert (outcome["failure"], outcome["text"]) == ("io", "the source fails")
    assert path.read_text() == "old"


def test_the_agent_tells_of_itself(ask):
    outcome = ask("request", "64")
    assert outcome["status"]["protocol"] == 1 and "START" in outcome["status"]["features"]
    assert (outcome["code"], outcome.get("failure")) == (0, None)


def test_a_request_s_own_code_is_its_answer(ask):
    """WAIT_PORT of a port that nobody listens on; a SIGNAL is no first frame."""
    assert ask("request", "8", '{"port":1}')["code"] == 1
    assert ask("request", "7")["failure"] == "refused"
