# SPDX-License-Identifier: MIT
"""NET_RECONFIG and RESTORED's net, in a network name space with a card."""

import itertools
import json
import os
import pathlib
import signal
import socket
import subprocess
import time

import pytest

os.environ["VMM_GUEST_AGENT"] = str(pathlib.Path(__file__).resolve().parent / "agent-with-own-etc")

import codec  # noqa: E402
from agent import Agent, FileError, wait_until  # noqa: E402
from faults import mounted  # noqa: E402

NET = {"ip": "10.0.9.2", "netmask": "255.255.255.0", "gateway": "10.0.9.1"}


def ip(*arguments):
    done = subprocess.run(["ip", "-json", *arguments], capture_output=True, text=True, check=True)
    return json.loads(done.stdout or "[]")


def addresses(card):
    return [f"{a['local']}/{a['prefixlen']}" for a in ip("-4", "addr", "show", card)[0]["addr_info"]]


def default_routes():
    return [(r.get("gateway"), r["dev"]) for r in ip("route", "show", "default")]


@pytest.fixture
def card():
    """eth0 as a guest has it, down and without an address."""
    ip("link", "add", "eth0", "type", "veth", "peer", "name", "wire")
    ip("link", "set", "wire", "up")
    yield "eth0"
    ip("link", "delete", "wire")


@pytest.fixture
def agent():
    with Agent("--workers=3") as started:
        yield started


def reconfigure(agent, **changes):
    """The six times; the request must have gone well."""
    result = agent.request(codec.NET_RECONFIG, {**NET, **changes})
    assert result.frames[-1].type == codec.EXIT and len(result.frames) == 1
    code, signal, times = codec.net_exit(result.frames[-1].payload)
    assert (code, signal) == (0, 0)
    return times


def test_address_netmask_route_and_name_server_are_set(card, agent):
    times = reconfigure(agent)
    assert addresses(card) == ["10.0.9.2/24"]
    assert default_routes() == [("10.0.9.1", card)]
    assert agent.read_file("/etc/resolv.conf") == b"nameserver 10.0.9.1\n"
    assert "UP" in ip("link", "show", card)[0]["flags"]
    assert sum(times[:5]) <= times[5] < 5_000_000


def test_what_was_there_before_is_gone_after(card, agent):
    reconfigure(agent)
    reconfigure(agent, ip="172.16.3.77", netmask="255.255.252.0", gateway="172.16.0.1")
    assert addresses(card) == ["172.16.3.77/22"]
    assert default_routes() == [("172.16.0.1", card)]
    assert agent.read_file("/etc/resolv.conf") == b"nameserver 172.16.0.1\n"
    broadcast = ip("-4", "addr", "show", card)[0]["addr_info"][0]["broadcast"]
    assert broadcast == "172.16.3.255"


def test_the_same_twice_is_no_error(card, agent):
    reconfigure(agent)
    reconfigure(agent)
    assert addresses(card) == ["10.0.9.2/24"]
    assert default_routes() == [("10.0.9.1", card)]


def test_every_default_route_of_the_card_is_replaced(card, agent):
    """The address stays, or the kernel would drop them by itself."""
    ip("addr", "add", "10.0.9.2/24", "dev", card)
    ip("link", "set", card, "up")
    for metric in ("0", "100", "2000"):
        ip("route", "add", "default", "via", "10.0.9.254", "metric", metric)
    reconfigure(agent)
    assert default_routes() == [("10.0.9.1", card)]


def test_a_gateway_outside_of_the_subnet_is_reached(card, agent):
    for _ in range(2):
        reconfigure(agent, ip="192.0.2.7", netmask="255.255.255.255", gateway="198.51.100.1")
    assert addresses(card) == ["192.0.2.7/32"]
    assert default_routes() == [("198.51.100.1", card)]


def test_a_service_is_reached_on_the_new_address(card, agent):
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with socket.create_server(("0.0.0.0", 0)) as server:
        for address in ("10.0.9.2", "10.0.9.3"):
            reconfigure(agent, ip=address)
            socket.create_connection((address, server.getsockname()[1]), timeout=5).close()


def test_without_eth0_the_first_card_is_taken(card, agent):
    ip("link", "set", card, "name", "ens3")
    indices = {link["ifname"]: link["ifindex"] for link in ip("link", "show")}
    first = min(("ens3", "wire"), key=indices.get)
    reconfigure(agent)
    assert addresses(first) == ["10.0.9.2/24"]
    assert default_routes() == [("10.0.9.1", first)]


def test_without_a_card_it_fails_and_the_log_says_why(agent):
    result = agent.request(codec.NET_RECONFIG, NET)
    assert (result.code, result.frames[-1].payload) == (-1, b"\xff" * 4 + bytes(4))
    deadline = time.monotonic() + 20
    while "there is no network interface" not in agent.log():
        assert time.monotonic() < deadline, agent.log()
        time.sleep(0.01)


def test_a_card_that_takes_no_such_address_leaves_resolv_conf_alone(card, agent):
    reconfigure(agent)
    assert agent.request(codec.NET_RECONFIG, {**NET, "ip": "224.0.0.1"}).code == -1
    assert agent.read_file("/etc/resolv.conf") == b"nameserver 10.0.9.1\n"


def test_the_operator_may_keep_resolv_conf(card):
    with Agent("--workers=3", "--dns=off") as agent:
        reconfigure(agent)
        with pytest.raises(FileError, match="ENOENT"):
            agent.read_file("/etc/resolv.conf")
    with Agent("--workers=3", "--dns=192.0.2.53,2001:db8::53") as agent:
        reconfigure(agent)
        expected = b"nameserver 192.0.2.53\nnameserver 2001:db8::53\n"
        assert agent.read_file("/etc/resolv.conf") == expected


def test_restored_changes_the_network_too(card, agent):
    result = agent.request(codec.RESTORED, {"net": NET})
    status = result.event("restored")
    assert (result.code, status["errors"]) == (0, [])
    assert 0 < status["net_us"] <= status["total_us"]
    assert addresses(card) == ["10.0.9.2/24"]
    assert default_routes() == [("10.0.9.1", card)]


# What each step asks of the kernel, in order.
STEPS = {
    "unix_ns": ["clock_settime(CLOCK_REALTIME"],
    "entropy": ["RNDADDENTROPY, {entropy_count=512, buf_size=64", "RNDRESEEDCRNG"],
    "net": ["SIOCSIFADDR", "SIOCSIFNETMASK", "SIOCDELRT", "SIOCADDRT"],
}
SUBSETS = [s for n in range(4) for s in itertools.combinations(STEPS, n)]


@pytest.fixture
def trace(tmp_path):
    """trace(agent) follows its workers; the calls of STEPS since, when it is ended."""

    def start(agent):
        process = subprocess.Popen(
            ["strace", "-qq", "-f", "-e", "trace=ioctl,clock_settime", "-o", tmp_path / "trace",
             *[f"-p{pid}" for pid in agent.worker_pids()]]
        )  # fmt: skip
        wait_until(lambda: all(is_traced(pid) for pid in agent.worker_pids()), message="strace")
        return process

    def end(process):
        process.send_signal(signal.SIGINT)
        process.wait(10)
        return (tmp_path / "trace").read_text()

    start.end = end
    return start


def is_traced(pid):
    return "TracerPid:\t0\n" not in pathlib.Path(f"/proc/{pid}/status").read_text()


@pytest.mark.parametrize("steps", SUBSETS, ids="+".join)
def test_restored_does_what_it_is_given_and_nothing_else(card, agent, trace, steps):
    values = {"unix_ns": time.time_ns(), "entropy": codec.base64_text(bytes(range(64))), "net": NET}
    process = trace(agent)
    result = agent.request(codec.RESTORED, {step: values[step] for step in steps})
    calls = trace.end(process)
    status = result.event("restored")
    assert (result.code, status["errors"]) == (0, [])
    at = 0
    for step, names in STEPS.items():
        for name in names:
            assert (name in calls[at:]) == (step in steps), (name, calls)
            at = calls.index(name, at) if step in steps else at
    told = {"unix_ns": "clock_us", "entropy": "entropy_us", "net": "net_us"}
    assert {step for step in STEPS if status[told[step]] > 0} == set(steps)
    assert bool(ip("-4", "addr", "show", card)) == ("net" in steps)


def test_clock_sync_credits_what_follows_the_time_and_reseeds(agent, trace):
    process = trace(agent)
    seconds, nanoseconds = divmod(time.time_ns(), 10**9)
    assert agent.request(codec.CLOCK_SYNC, codec.clock_sync(seconds, nanoseconds, bytes(64))).code == 0
    calls = trace.end(process)
    order = [calls.index(name) for name in STEPS["unix_ns"] + STEPS["entropy"]]
    assert order == sorted(order)


def test_steps_that_can_not_be_done_stop_no_other(agent, monkeypatch, tmp_path):
    """No device to credit entropy by, no card; the clock is set all the same."""
    mounted(monkeypatch, tmp_path, "mount -t tmpfs none /dev")
    with Agent("--workers=3") as bare:
        before = bare.status()["clock_syncs"]
        result = bare.request(codec.RESTORED, {
            "unix_ns": time.time_ns(), "entropy": codec.base64_text(bytes(64)), "net": NET})  # fmt: skip
        assert result.code == -1
        assert result.event("restored")["errors"] == [
            "entropy: No such file or directory", "net: there is no network interface"]  # fmt: skip
        assert bare.status()["clock_syncs"] == before + 1


def test_restored_says_what_of_the_network_failed(agent):
    result = agent.request(codec.RESTORED, {"net": NET})
    assert result.code == -1
    assert result.event("restored")["errors"] == ["net: there is no network interface"]
