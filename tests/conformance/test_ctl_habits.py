# SPDX-License-Identifier: MIT
"""What people type who come from docker, kubectl, ssh and coreutils."""

import json
import os

import pytest

import codec
from client import Ctl, FakeAgent


@pytest.fixture
def ctl(agent):
    return Ctl(agent.path)


def started(*args):
    """The START of an exec with ARGS."""
    seen = []

    def script(peer):
        seen.append(peer.expect(codec.START).json())
        peer.exit(0)
    with FakeAgent(script) as fake:
        done = Ctl(fake.path).run("exec", *args)
    assert done.code == 0, done
    return seen[0]


# ---- words ---------------------------------------------------------------------------


@pytest.mark.parametrize("meant,words", [
    ("exec", "run"), ("cp", "put get push pull copy upload download scp"),
    ("shell", "ssh sh bash login enter"), ("shutdown", "stop halt poweroff reboot"),
    ("forward", "port-forward"), ("logs", "log"), ("attach", "resume")])
def test_another_programs_word_for_a_command_is_known(meant, words):
    for word in words.split():
        done = Ctl("/nowhere").run(word)
        assert done.code == 2 and "did you mean '%s'?" % meant in done.text, (word, done)


def test_a_short_word_is_near_to_what_is_one_letter_away_alone():
    assert "did you mean 'exec'?" in Ctl("/nowhere").run("exc").text
    assert "did you mean" not in Ctl("/nowhere").run("foo").text
    assert "did you mean" not in Ctl("/nowhere").run("wxyz").text


def test_version_is_a_command_too():
    assert Ctl("/nowhere").ok("version") == Ctl("/nowhere").ok("--version")


# ---- the address ---------------------------------------------------------------------


def test_a_path_alone_is_an_address(agent):
    ctl = Ctl(agent.path)
    assert ctl.ok("-a", agent.path, "exec", "echo", "x") == b"x\n"
    ctl.env["VMM_GUEST_ADDR"] = agent.path
    assert ctl.ok("exec", "echo", "x") == b"x\n"


@pytest.mark.parametrize("address", ["unix:/run/vm/1.vsock", "vsock:3"])
def test_an_address_behind_the_command_is_told_where_it_goes(address):
    for args in (("status", "-a", address), ("stat", "-a" + address, "/x")):
        done = Ctl("/nowhere").run(*args)
        assert done.code == 2 and "goes before '%s'" % args[0] in done.text, done


@pytest.mark.parametrize("address", ["unix:/run/vm/1.vsock", "vsock:3", "/run/vm/1.sock"])
def test_an_address_in_place_of_the_command_is_told_what_goes_in_front_of_it(address):
    done = Ctl("/nowhere").run(address, "status")
    assert done.code == 2 and "'%s' is an address: -a goes in front of it" % address in done.text, done


def test_no_address_is_seen_where_none_is():
    done = Ctl("/nowhere").run("mkdir", "-a", "/x")
    assert done.code == 2 and "address" not in done.text, done


# ---- exec ----------------------------------------------------------------------------


def test_a_command_in_quotes_is_told_that_no_shell_takes_it_apart(ctl):
    done = ctl.run("exec", "ls -l /")
    assert done.code == 127 and "can't run 'ls -l /'" in done.text and "leave the quotes out" in done.text, done
    for args in (("no-such-program",), ("no such program", "x"), ("sh", "-c", "exit 127")):
        done = ctl.run("exec", *args)
        assert done.code == 127 and "quotes" not in done.text, done


def test_limits_have_the_names_that_docker_gives_them():
    start = started("--memory", "64M", "--cpus", "1.5", "--pids-limit", "7", "x")
    assert start["limits"] == {"memory_bytes": 64 << 20, "cpu_percent": 150, "pids": 7}


@pytest.mark.parametrize("text,seconds", [("1.5", 2), ("10s", 10), ("2m", 120)])
def test_a_timeout_may_have_a_part_and_a_unit(text, seconds):
    assert started("--timeout", text, "x")["timeout_seconds"] == seconds


def test_a_file_of_variables_is_read(tmp_path, monkeypatch):
    monkeypatch.setenv("FROM_HERE", "here")
    path = tmp_path / "env"
    path.write_text("# a comment\nA=1\n\nB=two words\r\nFROM_HERE\nNOT_SET_AT_ALL\n"
                    + "".join("V%d=%d\n" % (i, i) for i in range(50)) + "LAST==")
    env = started("-e", "A=0", "--env-file", str(path), "-e", "C=3", "x")["env"]
    assert env["B"] == "two words" and env["FROM_HERE"] == "here" and env["LAST"] == "="
    assert env["V49"] == "49" and env["C"] == "3" and env["A"] == "1"
    assert "NOT_SET_AT_ALL" not in env


def test_a_file_of_variables_that_can_not_be_used_is_named(tmp_path):
    path = tmp_path / "env"
    path.write_text("=x\n")
    done = Ctl("/nowhere").run("exec", "--env-file", str(path), "x")
    assert done.code == 125 and "env-file" in done.text
    done = Ctl("/nowhere").run("exec", "--env-file", "/nowhere/env", "x")
    assert done.code != 0 and "can't read /nowhere/env: No such file" in done.text


def test_stdin_is_sent_by_kubectls_name_for_it(ctl):
    assert ctl.run("exec", "--stdin", "cat", input=b"data").stdout == b"data"


# ---- shell ---------------------------------------------------------------------------


def test_shell_takes_a_directory_variables_and_a_command(ctl, tmp_path):
    done = ctl.run("shell", "-w", str(tmp_path), "-e", "X=a b", "-c", 'pwd; echo "$X"')
    assert done.stdout.endswith(b"%s\na b\n" % str(tmp_path).encode()), done
    done = ctl.run("shell", "-c", "exit 7")
    assert done.code == 7


def test_shell_in_a_directory_reads_commands(ctl, tmp_path):
    assert ctl.run("shell", "-w", str(tmp_path), input=b"pwd\n").stdout.endswith(
        str(tmp_path).encode() + b"\n")


# ---- ls ------------------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path):
    for i, name in enumerate(("c", "a", "b")):
        (tmp_path / name).write_bytes(b"x" * 2048 * i)
        os.utime(tmp_path / name, (0, 1000 + i))
    (tmp_path / "d" / "e").mkdir(parents=True)
    (tmp_path / "d" / "e" / "f").write_text("x")
    os.symlink("..", tmp_path / "d" / "up")
    return str(tmp_path)


def test_ls_takes_the_letters_of_ls(ctl, tree):
    assert ctl.ok("ls", "-1", tree) == b"a\nb\nc\nd\n"
    assert ctl.ok("ls", "-t", tree) == b"d\nb\na\nc\n"
    assert ctl.ok("ls", "-d", tree) == tree.encode() + b"\n"
    assert b" 2.0 KiB " in ctl.ok("ls", "-lh", tree)


def test_ls_goes_down_and_follows_no_link(ctl, tree):
    t = "vm:" + tree
    assert ctl.ok("ls", "-R", tree).decode() == (
        f"{t}\na\nb\nc\nd\n\n{t}/d\ne\nup\n\n{t}/d/e\nf\n")


def test_ls_is_json_by_line(ctl, tree):
    entries = [json.loads(line) for line in ctl.ok("ls", "--json", tree).splitlines()]
    assert [(e["name"], e["kind"], e["size"]) for e in entries[:3]] == [
        ("a", "file", 2048), ("b", "file", 4096), ("c", "file", 0)]
    names = [json.loads(line)["name"] for line in ctl.ok("ls", "-R", "--json", tree).splitlines()]
    assert tree + "/d/e/f" in names


def test_h_is_help_but_in_ls(ctl):
    for command in ("cat", "cp", "stat", "rm", "ps"):
        assert b"Usage:" in ctl.ok(command, "-h")
    assert b"Usage:" not in ctl.ok("ls", "-h", "/") and b"Usage:" in ctl.ok("ls", "--help")
