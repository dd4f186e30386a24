# SPDX-License-Identifier: MIT
"""A guest that stands still, as far as this machine may: nothing is frozen, and nothing flushed.

    with hold(agent, hold_ms=60000) as held:        STATUS quiesced has come
        ...
        held.send(codec.THAW); held.result()
    phase(agent)                                    of STATUS; None: nothing is quiesced
"""

import select

import codec
from agent import wait_until

NOTHING = {"freeze": "none", "sync": False}
STEPS = ["rest", "sessions", "sync", "fsfreeze"]


def ask(agent, **members):
    """The connection of a QUIESCE that was sent."""
    assert not members.get("fsfreeze") and members.get("freeze", "none") != "sessions"
    conn = agent.connect()
    conn.send(codec.QUIESCE, {**NOTHING, **members})
    return conn


def hold(agent, **members):
    """The same, once the guest is held."""
    conn = ask(agent, **{"hold_ms": 600000, **members})
    told = conn.expect(codec.STATUS).json()
    assert told["event"] == "quiesced" and "error" not in told, told
    return conn


def held(agent):
    """A fixture: the connection of a QUIESCE that holds; its .agent is the agent."""
    conn = hold(agent)
    conn.agent = agent
    yield conn
    conn.close()
    wait_until(lambda: phase(agent) is None, message="it is over")


def thaw(agent):
    """THAW's code."""
    result = agent.request(codec.THAW)
    assert [f.type for f in result.frames] == [codec.EXIT], result
    return result.code


def phase(agent):
    return agent.status().get("quiesce", {}).get("phase")


def thawed(conn):
    """Why it ended, as its host is told with EXIT 0 as the last words."""
    result = conn.result()
    assert [f.type for f in result.frames[-2:]] == [codec.STATUS, codec.EXIT] and result.code == 0, result
    assert set(result.statuses[-1]) == {"event", "why"} and result.statuses[-1]["event"] == "thawed", result
    return result.statuses[-1]["why"]


def refused(conn, code):
    """STATUS of a QUIESCE that came to nothing; EXIT is CODE."""
    result = conn.result()
    assert [f.type for f in result.frames] == [codec.STATUS, codec.EXIT] and result.code == code, result
    assert result.statuses[0]["event"] == "quiesced", result
    return result.statuses[0]


def slots(agent, kind):
    return [s for s in agent.status()["slots"] if s["kind"] == kind]


def await_slot(agent, kind, count=1):
    """Until so many requests of this kind have been read."""
    wait_until(lambda: len(slots(agent, kind)) == count, message="%d of %s" % (count, kind))


def is_silent(*conns, seconds=0.2):
    return not select.select(conns, [], [], seconds)[0]


def workers(agent):
    """Its workers, without the process that holds the time."""
    return {pid for pid in agent.worker_pids() if b": switch" not in cmdline(pid)}


def cmdline(pid):
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as f:
            return f.read()
    except (FileNotFoundError, ProcessLookupError):
        return b""
