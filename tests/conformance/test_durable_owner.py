# SPDX-License-Identifier: MIT
"""The worker that runs a durable session: its own connection, which is one reader of
several, what it keeps while nobody is there, and how the session ends."""

import os
import signal
import time

import codec
import durable
import pytest
from agent import Agent, wait_until
from durable import sh, start

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def agent():
    with Agent("--workers=8") as running:
        yield running


@pytest.fixture
def name(request):
    """The name of a session that no other test has."""
    return request.node.name[5:][:64]


@pytest.fixture(autouse=True)
def nothing_is_left(agent):
    yield
    durable.forget_all(agent)


# ---- the connection that it was started on ------------------------------------------


def test_a_durable_session_ends_as_a_plain_one(agent, name):
    reader = sh(agent, "echo out; echo err >&2; cat; exit 7", name)
    reader.stdin(b"in\n")
    reader.eof()
    reader.finish()
    assert (reader.exit, reader.out, reader.err) == ((7, 0), b"out\nin\n", b"err\n")


def test_started_names_session_and_instance(agent, name):
    reader = start(agent, ["true"], name)
    assert reader.started["session"] > 0 and reader.started["pid"] > 0
    assert len(reader.started["instance"]) == 32 and int(reader.started["instance"], 16) >= 0
    assert reader.finish().exit == (0, 0)


def test_exited_is_reported_where_it_was_asked_for(agent, name):
    reader = sh(agent, "exit 3", name, report=True).finish()
    assert reader.event("exited")["code"] == 3 and reader.event("exited")["reason"] == "exited"
    assert sh(agent, "exit 3", name + "-2").finish().all_events("exited") == []


def test_all_output_comes_in_its_order(agent, name):
    size = 8 * MIB
    reader = start(agent, ["head", "-c", str(size), "/dev/zero"], name).finish()
    assert reader.exit == (0, 0) and len(reader.out) == size and not reader.lost


def test_a_name_is_given_back_before_the_host_hears_that_the_start_failed(agent, name):
    for _ in range(20):
        words = agent.run(["/nope"], name=name, durable={})
        assert words.code == 127 and "no such program" in words.text, words
    assert start(agent, ["true"], name).finish().exit == (0, 0)


def test_a_name_that_runs_is_refused(agent, name):
    reader = start(agent, ["cat"], name)
    words = durable.start_refused(agent, ["true"], name)
    assert words == "EEXIST: session '%s' is there (number %d, running)\n" % (name, reader.started["session"])
    reader.eof()
    reader.finish()
    assert durable.start_refused(agent, ["true"], name).endswith(", ended)\n")


def test_with_few_workers_there_are_no_durable_sessions():
    with Agent("--workers=3") as few:
        assert durable.start_refused(few, ["true"], "x").startswith("durable sessions are off: ")
        assert few.run(["true"], name="x").code == 0
