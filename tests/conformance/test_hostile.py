"""Guests and hosts that mean harm, or behave as if they did."""

import os
import shutil
import signal
import socket
import subprocess
import threading
import time

import agent as agent_module
import codec

def calls_in_a_second(pid, syscall):
    """How often PID makes SYSCALL in a second."""
    assert shutil.which("strace"), "no strace(1)"
    trace = subprocess.Popen(["strace", "-qq", "-e", "trace=" + syscall, "-p", str(pid)],
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    time.sleep(1)
    trace.send_signal(signal.SIGINT)
    return trace.communicate()[1].count(syscall.encode() + b"(")


def test_a_worker_does_not_spin_while_it_waits_for_what_ignores_the_hangup(start_agent):
    agent = start_agent("--workers=1")
    worker = agent.worker_pids()[0]
    conn = agent.start(["/bin/sh", "-c", "(trap '' HUP; echo up; exec sleep 30) & exec sleep 30"])
    conn.read_output(b"up")
    conn.close()
    time.sleep(0.3)
    assert calls_in_a_second(worker, "ppoll") < 100


def test_a_host_that_never_stops_sending_is_seen_off(agent):
    conn = agent.start(["true"])
    frame = codec.encode(codec.STDIN, b"x" * (1 << 20)) * 4
    conn.sock.settimeout(8)
    begun = time.monotonic()
    failed = []

    def flood():
        view = memoryview(frame)
        sock = conn.sock.dup()
        sock.settimeout(8)
        try:
            while time.monotonic() - begun < 6:
                sock.sendall(view)
        except OSError:
            failed.append(time.monotonic() - begun)
        sock.close()

    threads = [threading.Thread(target=flood) for _ in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    conn.close()
    assert len(failed) == 3 and max(failed) < 3, failed


def test_a_worker_does_not_spin_over_urgent_data(start_agent):
    agent = start_agent("--workers=1")
    worker = agent.worker_pids()[0]
    with agent.start(["sleep", "30"]) as conn:
        time.sleep(0.2)
        conn.sock.send(b"x", socket.MSG_OOB)
        assert calls_in_a_second(worker, "ppoll") < 100
