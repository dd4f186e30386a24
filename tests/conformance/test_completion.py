# SPDX-License-Identifier: MIT
"""Completion by bash and by zsh, as they are, of what the client's tables have."""

import os
import pathlib
import re
import subprocess

import pytest

import codec
from client import Ctl, FakeAgent, Terminal, ctl_binary

TOP = pathlib.Path(__file__).resolve().parents[2]
COMPLETION = TOP / "src/packaging/completion"
FORGETS_DURABLE = True

# Readline parts words at these, too.
BASH = r"""
. /usr/share/bash-completion/bash_completion
. "$1"
shift
COMP_LINE=$1 COMP_POINT=${#1}
shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
compopt() { :; }
_vmm_guest_ctl
printf '%s\n' "${COMPREPLY[@]}"
"""

ZSH = r"""
PS1= fpath=(%s $fpath)
autoload -U compinit && compinit -u -D
show() { print -r -- "<$BUFFER>"; BUFFER= }
zle -N show && bindkey '^X' show
print 'rea''dy'
"""


def completing(address):
    path = "%s:%s" % (os.path.dirname(os.path.abspath(ctl_binary())), os.environ["PATH"])
    return Ctl(address, env={"PATH": path, "VMM_GUEST_COMPLETION_SECONDS": "60", "TERM": "dumb"})


@pytest.fixture
def ctl(agent):
    return completing(agent.path)


def by_bash(ctl, line, **more):
    """What bash would offer, where LINE ends."""
    whole = line.split(" ") if isinstance(line, str) else line
    words = [part for word in whole for part in re.split("([:=])", word) if part or not word]
    line = " ".join(whole)
    done = subprocess.run(
        ["bash", "--norc", "-c", BASH, "-", COMPLETION / "vmm-guest-ctl.bash", line, *words],
        env=ctl.env, capture_output=True, text=True, check=False, **more)
    assert done.stderr == "", done
    return set(done.stdout.splitlines()) - {""}


class Zsh:
    def __init__(self, env):
        self.env = env

    def argv(self):
        return ["zsh", "-f", "-i"]


@pytest.fixture
def zsh(ctl):
    with Terminal(Zsh(ctl.env), columns=200) as terminal:
        terminal.type((ZSH % COMPLETION).encode())
        terminal.read_until(b"ready\r\n")
        yield terminal


def by_zsh(terminal, line):
    """What zsh makes of LINE by a tab."""
    terminal.output = b""
    terminal.type(line.encode() + b"\t\x18")
    terminal.read_until(b">\r\n")
    return re.search(rb"<(.*)>\r\n", terminal.output)[1].decode()


def shown_commands(ctl):
    return set(re.findall(r"^  ([a-z][a-z-]*) ", ctl.ok("--help").decode().partition("Commands:")[2], re.MULTILINE))


def test_words_have_each_command_with_each_option_that_its_help_shows(ctl):
    rows = [line.split("\t") for line in ctl.ok("help", "--words").decode().splitlines()]
    assert {row[0] for row in rows if not row[1]} == shown_commands(ctl) and all(len(row) == 4 for row in rows)
    for command in shown_commands(ctl):
        shown = re.findall(r"^  (-\w)?,? *(--[a-z-]+)?", ctl.ok(command, "--help").decode(), re.MULTILINE)
        assert {name for pair in shown for name in pair if name} == {row[1] for row in rows if row[0] == command and row[1]}


def test_bash_completes_commands_and_their_options(ctl):
    assert by_bash(ctl, "vmm-guest-ctl ") == shown_commands(ctl)
    assert by_bash(ctl, "vmm-guest-ctl forg") == {"forget"}
    assert by_bash(ctl, "vmm-guest-ctl -a unix:/x exec --de") == {"--detach", "--detach-keys"}
    assert by_bash(ctl, "vmm-guest-ctl --vers") == {"--version"}


def test_bash_completes_names_of_sessions(ctl):
    ctl.ok("exec", "-d", "--name", "nightly-job", "sleep", "600")
    assert by_bash(ctl, "vmm-guest-ctl attach nig") == {"nightly-job"}
    assert by_bash(ctl, "vmm-guest-ctl logs -f nig") == {"nightly-job"}


def test_bash_completes_paths_of_the_guest(ctl, tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "thing").write_text("x")
    (tmp_path / "other").write_text("x")
    assert by_bash(ctl, f"vmm-guest-ctl cat {tmp_path}/th") == {f"{tmp_path}/there/", f"{tmp_path}/thing"}
    # What readline took for a word of its own is not offered a second time.
    assert by_bash(ctl, f"vmm-guest-ctl cp here vm:{tmp_path}/thi") == {f"{tmp_path}/thing"}
    assert by_bash(ctl, "vmm-guest-ctl cp here v") == {"vm:"}


def test_bash_completes_the_address(ctl, tmp_path):
    (tmp_path / "1.vsock").touch()
    assert by_bash(ctl, "vmm-guest-ctl -a ") == {"unix:", "vsock:"}
    assert by_bash(ctl, f"vmm-guest-ctl -a unix:{tmp_path}/1") == {f"{tmp_path}/1.vsock"}


def test_bash_completes_nothing_where_there_is_no_agent(ctl):
    ctl.env["VMM_GUEST_ADDR"] = "unix:/nowhere"
    assert by_bash(ctl, "vmm-guest-ctl attach ") == by_bash(ctl, "vmm-guest-ctl cat /e") == set()


def test_zsh_completes_commands_options_sessions_and_paths(ctl, zsh, tmp_path):
    (tmp_path / "thing").write_text("x")
    ctl.ok("exec", "-d", "--name", "nightly-job", "sleep", "600")
    assert by_zsh(zsh, "vmm-guest-ctl forg") == "vmm-guest-ctl forget "
    assert by_zsh(zsh, "vmm-guest-ctl exec --interac") == "vmm-guest-ctl exec --interactive "
    assert by_zsh(zsh, "vmm-guest-ctl attach nig") == "vmm-guest-ctl attach nightly-job "
    assert by_zsh(zsh, f"vmm-guest-ctl cat {tmp_path}/th") == f"vmm-guest-ctl cat {tmp_path}/thing"
    assert by_zsh(zsh, f"vmm-guest-ctl cp here vm:{tmp_path}/th") == f"vmm-guest-ctl cp here vm:{tmp_path}/thing"
    for kind in "", "unix:":
        assert by_zsh(zsh, f"vmm-guest-ctl -a {kind}{tmp_path}/th") == f"vmm-guest-ctl -a {kind}{tmp_path}/thing "


# ---- a guest whose names are meant for the host's shell ------------------------------------

EVIL_SESSIONS = ["$(>ran)", "`>ran`", ";>ran;", "<(>ran)", "é $(>ran)", "$((a[$(>ran)]))", "-rf", "*"]
EVIL_FILES = ["$(>ran)", "`>ran`", "a;>ran", "b&>ran", "it's", "two words", "*", "'\"\\", "a|b", "~", "$HOME"]


def hostile_guest(peer):
    entry = {"kind": "file", "size": 0, "mode": 0o644, "mtime_secs": 1, "mtime_nanos": 0, "uid": 0, "gid": 0,
             "symlink_target": ""}
    if peer.recv().type == codec.FILE_LIST_REQ:
        peer.send(codec.FILE_LIST, [{"name": name, **entry} for name in EVIL_FILES])
        return
    slots = [{"kind": "exec", "name": name, "session": 7 + i, "durable": True, "running": True, "command": "x"}
             for i, name in enumerate([*EVIL_SESSIONS, "good-1.x"])]
    peer.send(codec.STATUS, {"version": "9", "features": ["ATTACH"], "slots": slots})
    peer.exit()


@pytest.fixture
def victim():
    with FakeAgent(hostile_guest) as fake:
        yield completing(fake.path)


@pytest.mark.parametrize("line", ["attach ", "exec --name ", "kill g"])
def test_bash_runs_nothing_that_a_guest_calls_a_session(victim, tmp_path, line):
    offered = by_bash(victim, f"vmm-guest-ctl {line}", cwd=tmp_path)
    assert os.listdir(tmp_path) == [] and "good-1.x" in offered
    assert all(re.fullmatch("[A-Za-z0-9._][A-Za-z0-9._-]*", word) for word in offered), offered


@pytest.mark.parametrize("line,front", [("cat ", ""), ("cat /d/", "/d/"), ("cp x vm:/d/", "/d/")])
def test_bash_offers_a_guest_s_names_as_words_that_are_these_names(victim, tmp_path, line, front):
    offered = by_bash(victim, f"vmm-guest-ctl {line}", cwd=tmp_path)
    assert os.listdir(tmp_path) == []
    (tmp_path / "here").touch()
    read = subprocess.run(
        ["bash", "--norc", "-c", "printf '%s\n' " + " ".join(sorted(offered))], cwd=tmp_path, capture_output=True,
        text=True, check=True)
    assert set(read.stdout.splitlines()) == {front + name for name in EVIL_FILES}
    assert os.listdir(tmp_path) == ["here"]


def test_bash_goes_on_with_a_name_that_it_has_quoted(victim, tmp_path):
    assert by_bash(victim, ["vmm-guest-ctl", "cat", r"/d/two\ w"], cwd=tmp_path) == {r"/d/two\ words"}
    assert by_bash(victim, ["vmm-guest-ctl", "cat", r"/d/\$\("], cwd=tmp_path) == {r"/d/\$\(\>ran\)"}


def test_zsh_runs_nothing_that_a_guest_names(victim, tmp_path):
    with Terminal(Zsh(victim.env), columns=200) as terminal:
        terminal.type((ZSH % COMPLETION).encode() + f"cd {tmp_path}; print 'mo''ved'\n".encode())
        terminal.read_until(b"moved\r\n")
        assert by_zsh(terminal, "vmm-guest-ctl attach goo") == "vmm-guest-ctl attach good-1.x "
        assert by_zsh(terminal, "vmm-guest-ctl cat 'two") == "vmm-guest-ctl cat 'two words"
        assert by_zsh(terminal, r"vmm-guest-ctl cat a\;") == r"vmm-guest-ctl cat a\;\>ran"
        by_zsh(terminal, "vmm-guest-ctl attach ")
        by_zsh(terminal, "vmm-guest-ctl cat /d/")
    assert os.listdir(tmp_path) == []
