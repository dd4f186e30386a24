# SPDX-License-Identifier: MIT
"""START: its members, their errors, and what the child starts with."""

import os
import resource
import stat

import pytest

import codec
from answers import environment, refused


def start_text(agent, text):
    """Sends TEXT as START; returns the result."""
    if isinstance(text, str):
        text = text.encode()
    return agent.request(codec.START, text)


# ---- errors -------------------------------------------------------------------

WRONG = [
    ("cmd", None), ("cmd", "true"), ("cmd", []), ("cmd", [""]), ("cmd", [1]), ("cmd", {}),
    ("cmd", ["true", None]), ("cmd", [["true"]]), ("cmd", ["tr\0ue"]), ("cmd", ["true", "a\0b"]),
    ("cmd", ["", "true"]), ("cmd", True),
    ("env", None), ("env", []), ("env", "A=B"), ("env", {"A": 1}), ("env", {"A": None}),
    ("env", {"": "x"}), ("env", {"A=B": "x"}), ("env", {"A": "x\0y"}), ("env", {"A": ["x"]}),
    ("working_dir", None), ("working_dir", 1), ("working_dir", ["/"]), ("working_dir", "/\0"),
    ("user", None), ("user", 0), ("user", "ro\0ot"), ("user", {}),
    ("tty", None), ("tty", 1), ("tty", "true"), ("tty", 0),
    ("tty_width", None), ("tty_width", "80"), ("tty_width", -1), ("tty_width", 65536),
    ("tty_width", 1.5), ("tty_width", True), ("tty_width", 2**64),
    ("tty_height", None), ("tty_height", "24"), ("tty_height", -1), ("tty_height", 65536),
    ("tty_height", 24.5),
    ("timeout_seconds", None), ("timeout_seconds", "1"), ("timeout_seconds", -1),
    ("timeout_seconds", 2**32), ("timeout_seconds", 0.5), ("timeout_seconds", 2**70),
    ("stdin", None), ("stdin", 1), ("stdin", "no"),
    ("kill_grace_seconds", None), ("kill_grace_seconds", -1), ("kill_grace_seconds", 2**32),
    ("kill_grace_seconds", 1.5), ("kill_grace_seconds", "1"),
    ("detach", None), ("detach", 0), ("detach", "yes"),
    ("report", None), ("report", 1), ("report", []),
    ("limits", None), ("limits", []), ("limits", 1), ("limits", {"memory_bytes": -1}),
    ("limits", {"pids": "many"}), ("limits", {"nofile": 1.5}), ("limits", {"cpu_percent": None}),
    ("limits", {"nofile": 0}), ("limits", {"nofile": 2}), ("limits", {"pids": 0}),
]


@pytest.mark.parametrize("member,value", WRONG)
def test_a_member_that_is_wrong_is_an_error_that_names_it(agent, member, value):
    members = {"cmd": ["echo", "ran"], member: value}
    result = agent.request(codec.START, members)
    text = refused(result)
    named = list(value)[0] if member == "limits" and isinstance(value, dict) else member
    assert named in text, "%r does not name %s" % (text, named)
    assert result.stdout == b""


def test_missing_cmd_is_an_error_that_names_it(agent):
    assert "cmd" in refused(agent.request(codec.START, {"env": {}}))


NOT_AN_OBJECT = [
    b"", b" ", b"[]", b"1", b"null", b"true", b'"cmd"', b"{", b"}", b'{"cmd":["true"]', b"cmd",
    b'{"cmd":["true"]} x', b'{"cmd":["true"]}{"cmd":["true"]}', b'{"cmd":["true"]}\0',
    b'{"cmd":["true"]}]', b'{"cmd" ["true"]}', b"{'cmd':['true']}", b'{"cmd":["\xff\xfe"]}',
    b'{"cmd":["true"],"x":"\xc3"}', b'{"cmd":["true"]} // comment',
    b'{cmd:["true"]}', b'{"cmd":["true"],"x":NaN', b"\xef\xbb\xbf", b"\0" * 100,
]


@pytest.mark.parametrize("text", NOT_AN_OBJECT)
def test_what_is_no_json_object_is_refused_in_words(agent, text):
    refused(start_text(agent, text))


@pytest.mark.parametrize("depth", [40, 1000, 500000])
@pytest.mark.parametrize("opener,closer", [("[", "]"), ('{"a":', "}")])
def test_deep_json_gets_an_exit(agent, depth, opener, closer):
    depth = min(depth, 1000 * 1000 // (len(opener) + 1))
    inner = opener * depth + ("1" if opener != "[" else "") + closer * depth
    result = start_text(agent, '{"cmd":["true"],"x":%s}' % inner)
    assert result.code in (0, 125), result


def test_white_space_after_the_object_is_fine(agent):
    assert start_text(agent, '  {"cmd" : ["echo", "x"]} \r\n\t ').stdout == b"x\n"


def test_unknown_members_are_ignored(agent):
    result = agent.run(["echo", "x"], colour="blue", nested={"cmd": ["false"]}, nothing=[None])
    assert (result.stdout, result.code) == (b"x\n", 0)


def test_of_duplicate_members_the_last_wins(agent):
    assert start_text(agent, '{"cmd":["echo","one"],"cmd":["echo","two"]}').stdout == b"two\n"


def test_escapes_and_unicode_in_strings_are_kept(agent):
    words = ["é", "日本", "😀", "a\nb", "tab\t", '"', "\\", "\x01", ""]
    result = agent.run(["printf", "%s|"] + words)
    assert result.stdout.decode("utf-8") == "".join(w + "|" for w in words)


def test_surrogate_pair_escape_is_read(agent):
    assert start_text(agent, rb'{"cmd":["echo","\ud83d\ude00"]}').stdout == "😀\n".encode()


def test_a_thousand_arguments_arrive(agent):
    arguments = ["%d" % i for i in range(1000)]
    assert agent.run(["printf", "%s "] + arguments).stdout.decode().split() == arguments


def test_an_environment_of_500_kb_arrives(agent):
    env = {"V%d" % i: "x" * 10000 for i in range(50)}
    out = agent.run(["env"], env=env).stdout.decode().splitlines()
    assert set("%s=%s" % pair for pair in env.items()) <= set(out)


def test_an_argument_that_exec_does_not_take_gets_words_and_an_exit(agent):
    result = agent.run(["true", "x" * 200000])
    assert result.code in (125, 126) and result.stderr, result


# ---- the program --------------------------------------------------------------


def make_program(path, text="#!/bin/sh\necho from $0\n", mode=0o755):
    path.write_text(text)
    path.chmod(mode)
    return str(path)


@pytest.mark.parametrize("cmd", ["no-such-program", "/no/such/program", "./no-such-program"])
def test_a_program_that_is_not_there_gets_127_with_words(agent, cmd):
    result = agent.run([cmd])
    assert os.path.basename(cmd) in refused(result, 127)


def test_a_file_without_the_executable_bit_gets_126(agent, tmp_path):
    assert "executable" in refused(agent.run([make_program(tmp_path / "p", mode=0o644)]), 126)


def test_a_directory_as_program_gets_126(agent):
    refused(agent.run(["/tmp"]), 126)


def test_a_missing_interpreter_gets_126_that_says_so(agent, tmp_path):
    program = make_program(tmp_path / "p", "#!/no/such/interpreter -x\n")
    assert "interpreter" in refused(agent.run([program]), 126)


def test_a_file_that_is_no_program_gets_126(agent, tmp_path):
    path = tmp_path / "p"
    path.write_bytes(b"\x7fELF" + b"\0" * 60)
    path.chmod(0o755)
    refused(agent.run([str(path)]), 126)


def test_a_program_that_the_user_may_not_run_gets_126(agent, public_dir):
    refused(agent.run([make_program(public_dir / "p", mode=0o700)], user="nobody"), 126)


def test_the_program_is_looked_up_in_the_sessions_path(agent, tmp_path):
    make_program(tmp_path / "only-here")
    result = agent.run(["only-here"], env={"PATH": "/nowhere:%s" % tmp_path})
    assert result.stdout == b"from %s/only-here\n" % str(tmp_path).encode(), result
    refused(agent.run(["only-here"]), 127)


def test_the_agents_own_path_is_not_the_sessions(agent, tmp_path):
    refused(agent.run(["sh", "-c", "true"], env={"PATH": str(tmp_path)}), 127)


def test_the_search_goes_on_behind_a_file_that_cannot_be_run(agent, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    make_program(tmp_path / "a" / "prog", mode=0o644)
    make_program(tmp_path / "b" / "prog")
    env = {"PATH": "%s/a:%s/b" % (tmp_path, tmp_path)}
    assert agent.run(["prog"], env=env).stdout == b"from %s/b/prog\n" % str(tmp_path).encode()
    refused(agent.run(["prog"], env={"PATH": "%s/a" % tmp_path}), 126)


def test_a_relative_program_starts_at_the_working_dir(agent, tmp_path):
    make_program(tmp_path / "prog")
    assert agent.run(["./prog"], working_dir=str(tmp_path)).stdout == b"from ./prog\n"


# ---- working_dir ------------------------------------------------------------


def test_working_dir_is_where_the_program_starts(agent, tmp_path):
    assert agent.run(["pwd"], working_dir=str(tmp_path)).stdout.decode() == "%s\n" % tmp_path


def test_a_relative_working_dir_is_below_the_root(agent):
    assert agent.run(["pwd"], working_dir="usr").stdout == b"/usr\n"


@pytest.mark.parametrize("members", [{}, {"working_dir": ""}], ids=["absent", "empty"])
def test_without_working_dir_the_program_starts_at_the_root(agent, members):
    assert agent.run(["pwd"], **members).stdout == b"/\n"


@pytest.mark.parametrize("path", ["/no/such/dir", "/etc/passwd"])
def test_a_working_dir_that_cannot_be_used_gets_126_and_is_named(agent, path):
    result = agent.run(["echo", "ran"], working_dir=path)
    assert path in refused(result, 126) and result.stdout == b""


def test_working_dir_is_entered_before_the_ids_change(agent, public_dir):
    inner = public_dir / "closed"
    inner.mkdir()
    inner.chmod(0o700)
    result = agent.run(["readlink", "/proc/self/cwd"], working_dir=str(inner), user="nobody")
    assert result.stdout.decode() == "%s\n" % inner, result


def test_working_dir_tilde_is_the_users_home(agent):
    assert agent.run(["pwd"], working_dir="~", user="daemon").stdout == b"/usr/sbin\n"


def test_working_dir_tilde_is_the_root_where_the_home_cannot_be_entered(agent):
    """Debian's nobody lives at /nonexistent."""
    assert agent.run(["pwd"], working_dir="~", user="nobody").stdout == b"/\n"


# ---- the environment --------------------------------------------------------


BASE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def test_the_base_environment_is_path_home_term_and_lang(agent):
    env = environment(agent)
    assert env["PATH"] == BASE_PATH and env["LANG"] == "C.UTF-8" and env["HOME"].startswith("/")
    assert set(env) <= {"PATH", "HOME", "TERM", "LANG"}


def test_nothing_of_the_agents_own_environment_leaks(start_agent):
    own = dict(os.environ, SECRET="token", TERM="linux", HOME="/tmp", LD_DEBUG_OUTPUT="/dev/null",
               BOOT_IMAGE="/vmlinux", PATH="/usr/bin:/bin")
    agent = start_agent("--workers=2", env=own)
    env = environment(agent)
    assert set(env) <= {"PATH", "HOME", "TERM", "LANG"}, env
    assert env.get("TERM") != "linux" and env["PATH"] == BASE_PATH
    assert environment(agent, tty=True)["TERM"] == "xterm-256color"


def test_env_is_added_and_wins_over_the_base(agent):
    given = {"A": "1", "B": "", "PATH": "/bin:/usr/bin", "HOME": "/x", "LANG": "C", "TERM": "dumb",
             "C": "a=b=c", "É": "ü"}
    env = environment(agent, env=given)
    assert env == given


# ---- what the child starts with -----------------------------------------------

BOTH = pytest.mark.parametrize("tty", [False, True], ids=["pipes", "tty"])


@BOTH
def test_the_child_has_descriptors_0_1_2_and_no_other(agent, tty):
    """3 is ls's own, for the directory it reads."""
    assert agent.run(["ls", "/proc/self/fd"], tty=tty).stdout.split() == [b"0", b"1", b"2", b"3"]


@BOTH
def test_the_child_has_default_signals_and_an_empty_mask(agent, tty):
    out = agent.run(["cat", "/proc/self/status"], tty=tty).stdout.decode()
    signals = {k: int(v, 16) for k, v in (
        line.split(":\t") for line in out.replace("\r", "").splitlines() if line.startswith("Sig")
        and not line.startswith("SigQ"))}
    assert signals == {"SigPnd": 0, "SigBlk": 0, "SigIgn": 0, "SigCgt": 0}


@BOTH
def test_the_child_leads_a_session_and_a_process_group(agent, tty):
    fields = agent.run(["cat", "/proc/self/stat"], tty=tty).stdout.split()
    pid, group, session = fields[0], fields[4], fields[5]
    assert pid == group == session


@BOTH
def test_the_child_has_umask_022(agent, tty):
    assert agent.sh("umask", tty=tty).stdout.split() == [b"0022"]


@pytest.mark.parametrize("user", ["", "nobody"], ids=["root", "nobody"])
def test_the_child_has_oom_score_adj_0(agent, user):
    assert agent.run(["cat", "/proc/self/oom_score_adj"], user=user).stdout == b"0\n"


def test_the_user_cannot_take_an_agents_protection_back(agent):
    result = agent.sh("echo -500 > /proc/self/oom_score_adj; cat /proc/self/oom_score_adj", user="nobody")
    assert result.stdout == b"0\n"


def test_the_agents_raised_limits_are_put_back(agent):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert agent.sh("ulimit -Sn; ulimit -Hn").stdout.split() == [b"%d" % soft, b"%d" % hard]


def test_each_session_starts_clean_however_many_were_before(agent):
    for _ in range(40):
        assert agent.run(["ls", "/proc/self/fd"]).stdout.split() == [b"0", b"1", b"2", b"3"]


def test_the_child_is_no_child_of_an_ignored_sigpipe(agent):
    result = agent.sh("yes | head -1; kill -PIPE $$")
    assert (result.stdout, result.code, result.signal) == (b"y\n", 141, 13)


def test_standard_streams_are_pipes_and_no_sockets(agent):
    """/dev/stdout can be opened again, which no socket allows."""
    result = agent.sh("echo a >/dev/stdout; echo b >/proc/self/fd/2; cat /dev/stdin", )
    assert (result.stdout, result.stderr) == (b"a\n", b"b\n")
    assert stat.S_ISFIFO(int(agent.run(["stat", "-L", "-c", "%f", "/dev/stdin"]).stdout, 16))


def test_no_session_gets_a_pipe_of_another(start_agent):
    """Though a worker makes them before it has one, and a child still holds the last."""
    agent = start_agent("--workers=1", "--reserved=0")
    script = "sleep 5 & for i in 0 1 2; do readlink /proc/self/fd/$i; done"
    seen = [line for _ in range(3) for line in agent.sh(script).stdout.split()]
    assert len(seen) == 9 and len(set(seen)) == 9
    assert all(line.startswith(b"pipe:") for line in seen)
