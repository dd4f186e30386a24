# SPDX-License-Identifier: MIT
"""START's user: who the program is, and what it is told of itself."""

import grp
import os
import pwd

import pytest

from answers import environment, refused


def ids(agent, user, **members):
    """(uids, gids, supplementary groups) as the kernel has them."""
    result = agent.run(["cat", "/proc/self/status"], user=user, **members)
    assert result.code == 0, result
    lines = dict(l.split(":", 1) for l in result.stdout.decode().splitlines() if ":" in l)
    return [lines["Uid"].split(), lines["Gid"].split(), set(lines["Groups"].split())]


def four(number):
    return [str(number)] * 4


def test_without_user_the_program_runs_as_the_agent(agent):
    uids, gids, _ = ids(agent, "")
    assert uids == four(os.getuid()) and gids == four(os.getgid())


@pytest.mark.parametrize("name", ["root", "nobody", "daemon"])
def test_a_name_sets_all_four_ids_and_the_groups(agent, name):
    entry = pwd.getpwnam(name)
    uids, gids, groups = ids(agent, name)
    assert uids == four(entry.pw_uid) and gids == four(entry.pw_gid)
    assert groups <= {str(g) for g in os.getgrouplist(name, entry.pw_gid)}


def test_supplementary_groups_come_from_the_group_file(agent):
    members = [(g.gr_gid, m) for g in grp.getgrall() for m in g.gr_mem]
    for gid, name in members:
        assert str(gid) in ids(agent, name)[2]
    assert ids(agent, "nobody")[2] <= {str(pwd.getpwnam("nobody").pw_gid)}


def test_a_numeric_uid_with_a_passwd_line_is_that_user(agent):
    entry = pwd.getpwnam("daemon")
    uids, gids, _ = ids(agent, str(entry.pw_uid))
    assert uids == four(entry.pw_uid) and gids == four(entry.pw_gid)


def test_a_numeric_uid_without_a_passwd_line_gets_gid_0(agent):
    uids, gids, groups = ids(agent, "54321")
    assert uids == four(54321) and gids == four(0) and groups <= {"0"}


@pytest.mark.parametrize("user,uid,gid", [
    ("nobody:daemon", 65534, 1), ("daemon:0", 1, 0), ("1:2", 1, 2), ("54321:12345", 54321, 12345),
    ("54321:daemon", 54321, 1), ("0:0", 0, 0), ("root:nogroup", 0, 65534)])
def test_a_group_behind_a_colon_is_the_group(agent, user, uid, gid):
    uids, gids, _ = ids(agent, user)
    assert uids == four(uid) and gids == four(gid)


def test_a_user_loses_all_capabilities(agent):
    out = agent.run(["grep", "-E", "^Cap(Eff|Prm|Amb)", "/proc/self/status"], user="nobody").stdout
    assert {int(l.split()[1], 16) for l in out.splitlines()} == {0}


def test_supplementary_groups_of_the_agent_are_dropped(agent):
    assert "0" not in ids(agent, "nobody")[2]


@pytest.mark.parametrize("user", [
    "no-such-user", "no-such-user:root", "nobody:no-such-group", "-1", "4294967295", "99999999999",
    ":", "nobody:", "1:2:3", "ro ot", "root\n", "12x", "1:-1", "x" * 10000])
def test_a_user_that_is_not_there_gets_126_with_words(agent, user):
    result = agent.run(["echo", "ran"], user=user)
    assert result.stdout == b""
    refused(result, 126)


def test_the_words_name_the_unknown_user(agent):
    assert "no-such-user" in refused(agent.run(["true"], user="no-such-user"), 126)


def test_home_user_logname_and_shell_are_the_users(agent):
    entry = pwd.getpwnam("daemon")
    env = environment(agent, user="daemon")
    assert env["HOME"] == entry.pw_dir and env["SHELL"] == entry.pw_shell
    assert env["USER"] == env["LOGNAME"] == "daemon"


def test_env_wins_over_what_the_user_sets(agent):
    given = {"HOME": "/a", "USER": "b", "LOGNAME": "c", "SHELL": "/d"}
    env = environment(agent, user="daemon", env=given)
    assert {k: env[k] for k in given} == given


def test_the_users_rights_are_the_kernels_to_decide(agent, public_dir):
    secret = public_dir / "secret"
    secret.write_text("x")
    secret.chmod(0o600)
    assert agent.run(["cat", str(secret)], user="nobody").code == 1
    assert agent.run(["cat", str(secret)]).stdout == b"x"


@pytest.mark.parametrize("tty", [False, True], ids=["pipes", "tty"])
def test_the_standard_streams_can_be_opened_by_the_user(agent, tty):
    result = agent.sh("echo a >/dev/stdout && echo b >/dev/stderr && : </dev/stdin && echo c",
                      user="nobody", tty=tty)
    assert result.code == 0, result
    assert sorted((result.stdout + result.stderr).split()) == [b"a", b"b", b"c"]


def test_the_terminal_belongs_to_the_user_group_5_mode_0620(agent):
    out = agent.sh("stat -c '%u %g %a' $(tty)", user="daemon", tty=True).stdout
    assert out.split() == [b"1", b"5", b"620"]


def test_a_users_session_is_killed_on_timeout_as_any_other(agent):
    result = agent.run(["sleep", "60"], user="nobody", timeout_seconds=1)
    assert (result.code, result.signal) == (137, 9)
