# SPDX-License-Identifier: MIT
"""RESTORED's generation and variables. Its clock and entropy: test_h3_requests.py; what it changes of the
guest's names and network: tests/boot."""

import os
import signal
import time

import pytest

import codec
from agent import together, wait_until
from faults import Fault

NOW = {"entropy": codec.base64_text(b"r" * 32)}


@pytest.fixture
def fresh(start_agent):
    """An agent of which no RESTORED has been asked."""
    return start_agent("--workers=4")


def restored(agent, **members):
    """The code, and STATUS."""
    result = agent.request(codec.RESTORED, members)
    assert [f.type for f in result.frames] == [codec.STATUS, codec.EXIT]
    return result.code, result.event("restored")


def steps_done(told):
    return {name[:-len("_us")] for name, took in told.items() if name.endswith("_us") and took > 0} - {"total"}


def test_a_generation_is_shown_once_there_is_one(fresh):
    assert "generation" not in fresh.status()
    assert restored(fresh, **NOW)[0] == 0
    assert "generation" not in fresh.status()
    for number in (0, 1, 2**64 - 1):
        code, told = restored(fresh, **NOW, generation=number)
        assert (code, told["errors"], steps_done(told)) == (0, [], {"generation", "entropy"})
        assert fresh.status()["generation"] == number


def test_the_same_generation_again_is_done_once(fresh):
    restored(fresh, **NOW, generation=7)
    code, told = restored(fresh, **NOW, generation=7)
    assert (code, told["errors"], steps_done(told)) == (0, [], {"generation"})


def test_a_smaller_generation_is_refused_with_nothing_done(fresh):
    restored(fresh, **NOW, generation=7)
    code, told = restored(fresh, **NOW, generation=6)
    assert code == 1 and steps_done(told) == {"generation"}
    assert len(told["errors"]) == 1 and told["errors"][0].startswith("generation: ESTALE: ")
    assert fresh.status()["generation"] == 7
    # Who gives none is no later for that.
    assert restored(fresh, **NOW)[0] == 0


def test_a_generation_of_which_a_step_failed_is_done_anew(fresh):
    code, told = restored(fresh, **NOW, generation=7, net={})
    assert code == -1 and [e.split(":")[0] for e in told["errors"]] == ["net"]
    code, told = restored(fresh, **NOW, generation=7)
    assert (code, steps_done(told)) == (0, {"generation", "entropy"})
    assert steps_done(restored(fresh, **NOW, generation=7)[1]) == {"generation"}


@pytest.mark.parametrize("bad", [-1, 1.5, "1", None, True])
def test_a_generation_that_makes_no_sense_stops_no_other_step(agent, bad):
    code, told = restored(agent, **NOW, generation=bad)
    assert code == -1 and steps_done(told) == {"entropy"}
    assert len(told["errors"]) == 1 and told["errors"][0].startswith("generation: member 'generation': ")


def test_while_one_is_under_way_others_are_busy(fresh):
    conn = fresh.connect()
    with Fault(fresh.worker_pids(), "clock_settime", "retval=0:delay_enter=60000000"):
        conn.send(codec.RESTORED, {"unix_ns": time.time_ns(), "generation": 7})
        wait_until(lambda: fresh.status().get("generation") == 7, message="the generation is claimed")
        for number in (6, 7, 8):
            code, told = restored(fresh, **NOW, generation=number)
            assert code == 1 and told["errors"][0].startswith("generation: EBUSY: "), told
        assert restored(fresh, **NOW)[0] == 0
    # The clock itself was left alone: strace goes, and its step has failed.
    assert conn.result().code == -1
    conn.close()
    code, told = restored(fresh, **NOW, generation=7)
    assert (code, steps_done(told)) == (0, {"generation", "entropy"})


@pytest.mark.kills_workers
def test_a_worker_that_dies_over_one_leaves_it_to_the_next(fresh):
    with Fault(fresh.worker_pids(), "clock_settime", "retval=0:signal=SIGKILL"):
        assert fresh.request(codec.RESTORED, {"unix_ns": time.time_ns(), "generation": 7}).code == -1
    assert fresh.status()["generation"] == 7
    code, told = restored(fresh, **NOW, generation=6)
    assert code == 1 and "ESTALE" in told["errors"][0]
    code, told = restored(fresh, **NOW, generation=7)
    assert (code, steps_done(told)) == (0, {"generation", "entropy"})


# ---- env ---------------------------------------------------------------------------


def variables(agent, **members):
    """The environment of a program that is started now."""
    out = agent.run(["env", "-0"], **members).stdout.decode()
    return dict(one.split("=", 1) for one in out.split("\0") if one)


def test_variables_are_for_each_program_from_then_on(fresh):
    base = variables(fresh)
    code, told = restored(fresh, env={"A": "1", "B": "", "C": "x=y\nz ä"})
    assert (code, told["errors"], steps_done(told)) == (0, [], {"env"})
    for _ in range(2 * len(fresh.worker_pids())):
        assert variables(fresh) == {**base, "A": "1", "B": "", "C": "x=y\nz ä"}


def test_variables_are_over_the_base_and_under_the_programs_own(fresh):
    restored(fresh, env={"HOME": "/given", "TERM": "given", "A": "given", "B": "given"})
    seen = variables(fresh, env={"A": "own"}, user="daemon")
    assert (seen["HOME"], seen["TERM"], seen["A"], seen["B"]) == ("/given", "given", "own", "given")
    assert seen["USER"] == "daemon"


def test_a_path_that_was_given_is_where_programs_are_looked_up(fresh, public_dir):
    program = public_dir / "only-there"
    program.write_text("#!/bin/sh\necho found\n")
    program.chmod(0o755)
    restored(fresh, env={"PATH": str(public_dir)})
    assert fresh.run(["only-there"]).stdout == b"found\n"
    assert fresh.run(["true"]).code == 127
    assert fresh.run(["true"], env={"PATH": "/bin:/usr/bin"}).code == 0


def test_variables_replace_those_before(fresh):
    base = variables(fresh)
    restored(fresh, env={"A": "1", "B": "2"})
    restored(fresh, env={"B": "3"})
    assert variables(fresh) == {**base, "B": "3"}
    assert restored(fresh)[0] == 0
    assert variables(fresh) == {**base, "B": "3"}
    restored(fresh, env={})
    assert variables(fresh) == base


def test_a_program_that_runs_keeps_its_own(fresh):
    restored(fresh, env={"A": "old"})
    conn = fresh.start(["sh", "-c", "echo up; read x; echo $A"])
    conn.read_output(b"up\n")
    restored(fresh, env={"A": "new"})
    conn.send(codec.STDIN, b"\n")
    assert conn.result().stdout == b"up\nold\n"
    conn.close()


BAD = [5, [], "x", None, {"": "x"}, {"A=B": "x"}, {"A": 1}, {"A": None}, {"A": "x\0y"}, {"A": "x" * 65534}]


@pytest.mark.parametrize("bad", BAD, ids=range(len(BAD)))
def test_variables_that_cannot_be_leave_the_old_and_stop_no_other_step(fresh, bad):
    restored(fresh, env={"OLD": "1"})
    code, told = restored(fresh, **NOW, env=bad)
    assert code == -1 and "entropy" in steps_done(told)
    assert len(told["errors"]) == 1 and told["errors"][0].startswith("env: ")
    assert variables(fresh)["OLD"] == "1"


def test_as_many_as_64_kib_are_given_and_reach_the_program(fresh):
    most = {"A": "x" * 65533}
    assert restored(fresh, env=most)[0] == 0
    assert variables(fresh)["A"] == most["A"]
    many = {"V%04d" % i: "y" * 8 for i in range(4000)}
    assert restored(fresh, env=many)[0] == 0
    assert many.items() <= variables(fresh).items()


def test_each_program_has_one_set_whole_while_others_are_given(fresh):
    def give(number):
        assert restored(fresh, env={name: str(number) for name in "ABCDEFGH"})[0] == 0

    def look():
        seen = variables(fresh)
        assert len({seen[name] for name in "ABCDEFGH"}) == 1

    give(0)
    together([lambda: [give(i) for i in range(100)], lambda: [give(-i) for i in range(100)],
              lambda: [look() for _ in range(50)]])


@pytest.mark.kills_workers
def test_variables_outlive_the_worker_that_took_them(fresh):
    restored(fresh, env={"A": "1"})
    for pid in fresh.worker_pids():
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: fresh.status()["worker_deaths"]["total"] == 4, message="all have died")
    assert variables(fresh)["A"] == "1"
