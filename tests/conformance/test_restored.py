# SPDX-License-Identifier: MIT
"""RESTORED's generation. Its clock and entropy: test_h3_requests.py; what it changes of the
guest's names and network: tests/boot."""

import time

import pytest

import codec
from agent import wait_until
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
