# SPDX-License-Identifier: MIT
"""Transcripts of requests that run no program: port 52."""

import time

import codec
from transcripts import transcript

# Of agents of their own: one that is given variables and a generation, and those that end.
RESTORED = ("--workers=4", "--log=debug")
ENDING = ("--workers=4",)

SERVER = """
import socket
server = socket.create_server(("127.0.0.1", 8080))
print("listens", flush=True)
while True:
    with server.accept()[0] as sock:
        while data := sock.recv(4096):
            sock.sendall(data)
"""
LISTENS = "somebody in the guest who listens on TCP port 8080 of 127.0.0.1, and sends back what comes"


def ask(t, kind, payload=b""):
    """A request of one frame."""
    said = {"json": payload} if isinstance(payload, dict) else {"hex": payload.hex()} if payload else {}
    t.given(do="request", frame=codec.NAMES[kind], **said)
    t.send(kind, payload)


def request(t, kind, payload=b"", **outcome):
    """The same, and all of its answer."""
    ask(t, kind, payload)
    t.rest()
    t.outcome(**outcome)


# ---- STATUS_REQ, CLOCK_SYNC, NET_RECONFIG, RESTORED ---------------------------------


@transcript("status", "What the agent is, can do and has done.", host="H3")
def _(t):
    request(t, codec.STATUS_REQ)


@transcript("status-guest", "And what the guest's kernel counts.", host="H3")
def _(t):
    request(t, codec.STATUS_REQ, {"guest": True})


@transcript("clock-sync", "The guest's clock is set: EXIT alone.")
def _(t):
    t.given(do="request", frame="CLOCK_SYNC", hex=codec.clock_sync(1600000000, 0).hex())
    seconds, nanoseconds = divmod(time.time_ns(), 10**9)
    t.send(codec.CLOCK_SYNC, codec.clock_sync(seconds, nanoseconds))
    t.rest()


@transcript("clock-sync-short", "Under 12 bytes are an error: EXIT -1 alone.", about=["failed request"], client=False)
def _(t):
    t.send_raw(codec.encode(codec.CLOCK_SYNC, b"12345678"))
    t.rest()


@transcript("net-reconfig", "A new address: this EXIT has 32 bytes, the code first, and what each step took.",
            host="H2",
            needs="a guest with an interface eth0")
def _(t):
    request(t, codec.NET_RECONFIG, {"ip": "10.0.0.2", "netmask": "255.255.255.0", "gateway": "10.0.0.1"})


@transcript("net-reconfig-refused", "A netmask with holes: EXIT -1 of 8 bytes, and the reason is in the agent's log.",
            host="H2", about=["failed request"])
def _(t):
    request(t, codec.NET_RECONFIG, {"ip": "10.0.0.2", "netmask": "255.0.255.0", "gateway": "10.0.0.1"}, error="failed")


@transcript("restored", "After a restore: what was done and what it took, and EXIT 0.", host="H3",
            options=RESTORED, fresh=True)
def _(t):
    request(t, codec.RESTORED, {"generation": 1, "entropy": codec.base64_text(bytes(range(32))), "env": {"CLONE": "1"}})


@transcript("restored-failed", "One step fails, the others are done: errors in words, and EXIT -1.", host="H3",
            options=RESTORED, about=["failed request"])
def _(t):
    request(t, codec.RESTORED, {
        "env": {}, "net": {"ip": "10.0.0.2", "netmask": "255.0.255.0", "gateway": "10.0.0.1"}}, error="failed")


# ---- WAIT_PORT, CONNECT -------------------------------------------------------------


def listen(t):
    t.other(["/usr/bin/python3", "-c", SERVER], ready=b"listens\n")


@transcript("wait-port", "Somebody listens there: EXIT 0.", host="H2", needs=LISTENS)
def _(t):
    listen(t)
    request(t, codec.WAIT_PORT, {"port": 8080, "timeout_ms": 10000})


@transcript("wait-port-closed", "Nobody does, in time: EXIT 1.", host="H2", about=["failed request"])
def _(t):
    request(t, codec.WAIT_PORT, {"port": 8081}, error="failed")


@transcript("connect", "A way to a port of the guest's: STATUS connected, then bytes both ways as STDIN and STDOUT.",
            host="H3", needs=LISTENS)
def _(t):
    listen(t)
    t.given(do="connect", port=8080, stdin="hi\n")
    t.send(codec.CONNECT, {"port": 8080})
    t.send(codec.STDIN, b"hi\n")
    t.send(codec.EOF)
    t.rest()


@transcript("connect-refused", "Nobody listens: words, and EXIT 1.", host="H3", about=["failed request"])
def _(t):
    t.given(do="connect", port=8081)
    t.send(codec.CONNECT, {"port": 8081})
    t.rest()
    t.outcome(error="failed")


# ---- QUIESCE, THAW, KILL, SHUTDOWN --------------------------------------------------

NOTHING = {"freeze": "none", "sync": False}


@transcript("quiesce", "The guest stands still behind STATUS quiesced, until its host says THAW on the same "
            "connection.",
            host="H3")
def _(t):
    t.given(do="quiesce", json=NOTHING, steps=[{"await": "quiesced"}, {"thaw": True}])
    t.send(codec.QUIESCE, NOTHING)
    t.next(codec.STATUS)
    t.send(codec.THAW)
    t.rest()


@transcript("quiesce-thawed", "Another host has it thawed: STATUS says why.", host="H3",
            needs="another host, who sends THAW behind quiesced")
def _(t):
    t.given(do="quiesce", json=NOTHING)
    t.send(codec.QUIESCE, NOTHING)
    t.next(codec.STATUS)
    t.agent.request(codec.THAW)
    t.rest()


@transcript("thaw", "A guest that is not quiesced: EXIT 1.", host="H3", about=["failed request"])
def _(t):
    request(t, codec.THAW, error="failed")


@transcript("kill-unknown", "KILL of a session that is not there: EXIT 1.", host="H3", about=["failed request"])
def _(t):
    request(t, codec.KILL, {"session": 999999, "signal": 15}, error="failed")


@transcript("shutdown", "The agent ends its sessions and the guest: EXIT 0 before the end.", host="H3", options=ENDING,
            fresh=True, about=["shutdown"])
def _(t):
    request(t, codec.SHUTDOWN, {"action": "poweroff", "grace_seconds": 1})


@transcript("shutdown-refused", "An action that it does not know: EXIT -1.", host="H3", about=["failed request"],
            client=False)
def _(t):
    t.send(codec.SHUTDOWN, {"action": "explode"})
    t.rest()


