# SPDX-License-Identifier: MIT
"""Completion by bash and by zsh, as they are, of what the client's tables have."""

import os
import pathlib
import re
import subprocess

import pytest

from client import Ctl, Terminal, ctl_binary

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


@pytest.fixture
def ctl(agent):
    path = "%s:%s" % (os.path.dirname(os.path.abspath(ctl_binary())), os.environ["PATH"])
    return Ctl(agent.path, env={"PATH": path, "VMM_GUEST_COMPLETION_SECONDS": "60", "TERM": "dumb"})


def by_bash(ctl, line):
    """What bash would offer, where LINE ends."""
    words = [part for word in line.split(" ") for part in re.split("([:=])", word) if part or not word]
    done = subprocess.run(
        ["bash", "--norc", "-c", BASH, "-", COMPLETION / "vmm-guest-ctl.bash", line, *words],
        env=ctl.env, capture_output=True, text=True, check=False)
    assert done.stderr == "", done
    return set(done.stdout.split())


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
