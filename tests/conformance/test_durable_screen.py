# SPDX-License-Identifier: MIT
"""A full-screen program behind the client, in a terminal of tmux(1): what a person sees
who closes a laptop, and comes back at another one."""

import os
import shutil
import subprocess

import pytest

import durable
from agent import wait_until
from client import ctl_binary
from test_durable_input import PAINTER, painted

FORGETS_DURABLE = True


class Tmux:
    """Terminals of a server of our own."""

    def __init__(self, agent, folder):
        assert shutil.which("tmux"), "no tmux(1)"
        config = folder / "config"
        config.write_text("set -g status off\nset -g default-terminal screen\nset -g exit-empty off\n")
        self.command = ["tmux", "-S", str(folder / "socket"), "-f", str(config)]
        self.env = dict(os.environ, VMM_GUEST_ADDR="unix:" + agent.path, TERM="screen", LC_ALL="C.UTF-8")

    def __call__(self, *arguments):
        return subprocess.run([*self.command, *arguments], env=self.env, stdout=subprocess.PIPE, check=True,
                              text=True, timeout=30).stdout

    def open(self, name, columns, rows, *command):
        self("new-session", "-d", "-s", name, "-x", str(columns), "-y", str(rows), *command)

    def screen(self, name):
        return self("capture-pane", "-p", "-t", name).split("\n")[:-1]

    def wait_for(self, name, lines):
        wait_until(lambda: self.screen(name) == lines, message="the screen is %r" % lines)


@pytest.fixture
def tmux(agent, tmp_path):
    one = Tmux(agent, tmp_path)
    yield one
    subprocess.run([*one.command, "kill-server"], env=one.env, stderr=subprocess.DEVNULL, check=False)


def test_screen_is_whole_at_another_size_after_the_terminal_was_closed(agent, tmux):
    program = ["/usr/bin/python3", "-I", "-S", "-c", PAINTER]
    tmux.open("first", 80, 24, ctl_binary(), "exec", "-i", "-t", "--name", "screen", "--durable", "--", *program)
    tmux.wait_for("first", painted(80, 24))
    tmux("kill-session", "-t", "first")
    durable.wait_alone(agent, "screen")
    for name, columns, rows in (("same", 80, 24), ("large", 121, 41), ("small", 50, 12)):
        tmux.open(name, columns, rows, ctl_binary(), "attach", "screen")
        tmux.wait_for(name, painted(columns, rows))
        tmux("resize-window", "-t", name, "-x", str(columns + 3), "-y", str(rows + 2))
        tmux.wait_for(name, painted(columns + 3, rows + 2))
        tmux("kill-session", "-t", name)
        durable.wait_alone(agent, "screen")
    tmux.open("last", 80, 24, ctl_binary(), "attach", "screen")
    tmux.wait_for("last", painted(80, 24))
    tmux("send-keys", "-t", "last", "q")
    durable.wait_ended(agent, "screen")


def test_screen_goes_from_one_terminal_to_another_that_takes_it_over(agent, tmux):
    program = ["/usr/bin/python3", "-I", "-S", "-c", PAINTER]
    tmux.open("one", 90, 30, ctl_binary(), "exec", "-i", "-t", "--name", "over", "--durable", "--", *program)
    tmux.wait_for("one", painted(90, 30))
    tmux.open("two", 70, 20, ctl_binary(), "attach", "over")
    tmux.wait_for("two", painted(70, 20))
    tmux("kill-session", "-t", "one")
    tmux("resize-window", "-t", "two", "-x", "66", "-y", "22")
    tmux.wait_for("two", painted(66, 22))
    tmux("send-keys", "-t", "two", "q")
    durable.wait_ended(agent, "over")
