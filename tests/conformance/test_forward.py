# SPDX-License-Identifier: MIT
"""The client's forward and the agent's CONNECT together: a port of this machine that
leads to a server as if there were nothing in between."""

import hashlib
import http.server
import os
import re
import signal
import socket
import stat
import struct
import subprocess
import threading
import urllib.request

import pytest

import codec
from agent import together
from client import Ctl, FakeAgent

AGENT_OPTIONS = ("--workers=16", "--log=debug")
MIB = 1 << 20
PAGE = os.urandom(MIB)
PAGE_MIB = 100


class Page(http.server.BaseHTTPRequestHandler):
    """100 MiB, and the hash of what is posted."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(PAGE_MIB * MIB))
        self.end_headers()
        for _ in range(PAGE_MIB):
            self.wfile.write(PAGE)

    def do_POST(self):
        digest, left = hashlib.sha256(), int(self.headers["Content-Length"])
        while left > 0:
            data = self.rfile.read(min(left, MIB))
            digest.update(data)
            left -= len(data)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(digest.hexdigest().encode())

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def web():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture
def forward(agent):
    """forward("0:80") starts the client; the port that it took."""
    started = []

    def start(*arguments):
        process = Ctl(agent.path).start("forward", *arguments)
        started.append(process)
        return int(re.search(rb" (\d+), ", process.stdout.readline()).group(1))

    yield start
    for process in started:
        process.terminate()
        process.communicate()


def expected():
    digest = hashlib.sha256()
    for _ in range(PAGE_MIB):
        digest.update(PAGE)
    return digest.hexdigest()


def test_100_mib_eight_at_a_time_come_with_the_hash_they_went_with(forward, web):
    url = f"http://127.0.0.1:{forward(f'0:{web}')}/"
    wanted = expected()

    def fetch():
        digest = hashlib.sha256()
        with urllib.request.urlopen(url, timeout=60) as page:
            while data := page.read(MIB):
                digest.update(data)
        assert digest.hexdigest() == wanted

    together([fetch] * 8)


def test_uploads_eight_at_a_time_arrive_with_the_hash_they_went_with(forward, web):
    url = f"http://127.0.0.1:{forward(f'0:{web}')}/"

    def post():
        data = os.urandom(MIB) * 20
        with urllib.request.urlopen(url, data, timeout=60) as page:
            assert page.read().decode() == hashlib.sha256(data).hexdigest()

    together([post] * 8)


class Server:
    """One connection, given to SERVE."""

    def __init__(self, family, address, serve):
        self.listener = socket.create_server((address, 0), family=family)
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._serve, args=(serve,), daemon=True)
        self.thread.start()

    def _serve(self, serve):
        conn, _ = self.listener.accept()
        with conn:
            serve(conn)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.thread.join(20)
        self.listener.close()


def read_all(conn):
    data = b""
    while more := conn.recv(65536):
        data += more
    return data


FAMILIES = pytest.mark.parametrize(
    ("family", "address", "listen"),
    [(socket.AF_INET, "127.0.0.1", "0"), (socket.AF_INET6, "::1", "[::1]:0")],
    ids=["ipv4", "ipv6"],
)


@FAMILIES
def test_our_half_close_reaches_the_server_which_may_go_on(forward, family, address, listen):
    def answer_at_the_end(conn):
        conn.sendall(b"got %d" % len(read_all(conn)))

    with Server(family, address, answer_at_the_end) as server:
        port = forward("--host", address, f"{listen}:{server.port}")
        with socket.create_connection((address, port), 20) as conn:
            conn.sendall(b"x" * 1000000)
            conn.shutdown(socket.SHUT_WR)
            assert read_all(conn) == b"got 1000000"


@FAMILIES
def test_the_servers_half_close_reaches_us_and_we_may_go_on(forward, family, address, listen):
    got = []

    def talk_then_listen(conn):
        conn.sendall(b"hello")
        conn.shutdown(socket.SHUT_WR)
        got.append(read_all(conn))

    with Server(family, address, talk_then_listen) as server:
        port = forward("--host", address, f"{listen}:{server.port}")
        with socket.create_connection((address, port), 20) as conn:
            assert read_all(conn) == b"hello"
            conn.sendall(b"and you")
            conn.shutdown(socket.SHUT_WR)
            server.thread.join(20)
    assert got == [b"and you"]


# ---- Unix sockets, and standard input and output ------------------------------------


class UnixServer(Server):
    def __init__(self, path, serve):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        self.thread = threading.Thread(target=self._serve, args=(serve,), daemon=True)
        self.thread.start()


def reverse(conn):
    conn.sendall(read_all(conn)[::-1])


def ask(sock, data):
    """What comes back for DATA, each direction ended in its turn."""
    with sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        return read_all(sock)


def unix_connection(path):
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(20)
    sock.connect(str(path))
    return sock


def test_a_port_here_leads_to_a_unix_socket_of_the_guest(forward, tmp_path):
    with UnixServer(tmp_path / "guest", reverse):
        port = forward(f"0:{tmp_path}/guest")
        assert ask(socket.create_connection(("127.0.0.1", port), 20), b"abc") == b"cba"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_unix_socket_here_leads_into_the_guest_and_is_removed_at_the_end(agent, tmp_path, number):
    here = tmp_path / "here"
    for target in "port", "path":
        server = (Server(socket.AF_INET, "127.0.0.1", reverse) if target == "port"
                  else UnixServer(tmp_path / "guest", reverse))
        with server:
            spec = server.port if target == "port" else tmp_path / "guest"
            with Ctl(agent.path).start("forward", f"{here}:{spec}") as process:
                assert process.stdout.readline().startswith(b"listening on %s, for " % os.fsencode(here))
                assert stat.S_IMODE(here.stat().st_mode) == 0o600
                assert ask(unix_connection(here), b"abc") == b"cba"
                process.send_signal(number)
                assert process.wait(20) == -number
            assert not here.exists()


def test_a_unix_socket_that_was_left_behind_gives_way_and_one_in_use_does_not(agent, tmp_path):
    here = tmp_path / "here"
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(here))
    sock.listen()
    done = Ctl(agent.path).run("forward", f"{here}:1")
    assert done.code == 1 and f"can't listen on {here}: Address already in use" in done.text
    sock.close()
    with Ctl(agent.path).start("forward", f"{here}:1") as process:
        assert process.stdout.readline().startswith(b"listening on ")
        process.kill()
    here.unlink()
    here.write_text("a file")
    assert Ctl(agent.path).run("forward", f"{here}:1").code == 1
    assert here.read_text() == "a file"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_the_host_may_stand_in_front_of_the_guests_port(forward, host):
    family = socket.AF_INET6 if host == "[::1]" else socket.AF_INET
    with Server(family, "::1" if host == "[::1]" else "127.0.0.1", reverse) as server:
        port = forward(f"0:{host}:{server.port}")
        assert ask(socket.create_connection(("127.0.0.1", port), 20), b"abc") == b"cba"


@pytest.mark.parametrize("arguments", [
    ["80"], ["80:"], [":80"], ["80:x"], ["80:host:80"], ["80:80:80"], ["80:/" + "a" * 108], ["/a"], ["/a:"], ["/a:b"],
    ["1.2.3.4:80"], ["[::1:80:80"], ["::1:80:80"], ["65536:80"], ["80:0"], ["--host", "::1", "80:/a"],
    ["--stdio", "80:80"], ["--stdio", "x"], ["--stdio", "./a"]])
def test_what_is_not_a_way_into_the_guest_is_misuse(agent, arguments):
    done = Ctl(agent.path).run("forward", *arguments)
    assert done.code == 2 and (arguments[-1] in done.text or "--host" in done.text)


@pytest.mark.parametrize("kind", ["pipes", "socket", "files"])
def test_stdio_carries_both_ways_to_the_end_of_each(agent, tmp_path, kind):
    data = os.urandom(3 * MIB)
    with Server(socket.AF_INET, "127.0.0.1", reverse) as server:
        if kind == "pipes":
            assert Ctl(agent.path).ok("forward", "--stdio", str(server.port), input=data) == data[::-1]
        elif kind == "files":
            (tmp_path / "in").write_bytes(data)
            with open(tmp_path / "in", "rb") as source, open(tmp_path / "out", "wb") as sink:
                Ctl(agent.path).ok("forward", "--stdio", f"localhost:{server.port}", stdin=source, stdout=sink)
            assert (tmp_path / "out").read_bytes() == data[::-1]
        else:
            ours, its = socket.socketpair()
            ours.settimeout(60)
            with Ctl(agent.path).start("forward", "--stdio", str(server.port), stdin=its, stdout=its) as process:
                its.close()
                assert ask(ours, data) == data[::-1]
                assert process.wait(60) == 0


def test_stdio_tells_of_the_guests_end_while_there_is_still_input(agent, tmp_path):
    got = []

    def talk_then_listen(conn):
        conn.sendall(b"hello")
        conn.shutdown(socket.SHUT_WR)
        got.append(read_all(conn))

    with UnixServer(tmp_path / "guest", talk_then_listen) as server:
        with Ctl(agent.path).start("forward", "--stdio", str(tmp_path / "guest"), stdin=subprocess.PIPE) as process:
            assert process.stdout.read() == b"hello"
            assert process.poll() is None
            process.stdin.write(b"and you")
            process.stdin.close()
            assert process.wait(60) == 0
            server.thread.join(60)
    assert got == [b"and you"]


def test_stdio_fails_with_words_where_nobody_listens_and_where_the_connection_breaks(agent, tmp_path):
    done = Ctl(agent.path).run("forward", "--stdio", str(tmp_path / "none"))
    assert done.code == 1 and done.text == (
        f"vmm-guest-ctl: can't connect to {tmp_path}/none: No such file or directory\n")

    def reset(conn):
        conn.recv(1)
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with Server(socket.AF_INET, "127.0.0.1", reset) as server:
        with Ctl(agent.path).start("forward", "--stdio", str(server.port), stdin=subprocess.PIPE) as process:
            process.stdin.write(b"x")
            process.stdin.flush()
            assert b"the connection in the guest broke: Connection reset by peer" in process.stderr.read()
            assert process.wait(60) == 1


def test_an_agent_that_does_not_know_paths_is_called_too_old():
    def script(peer):
        peer.expect(codec.CONNECT)
        peer.send(codec.STDERR, b"bad CONNECT: member 'port' is missing\n")
        peer.exit(125)
    with FakeAgent(script) as fake:
        done = Ctl(fake.path).run("forward", "--stdio", "/run/a")
    assert done.code == 1 and done.text == "vmm-guest-ctl: the agent is too old to forward to Unix sockets\n"
