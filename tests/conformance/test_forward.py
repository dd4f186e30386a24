# SPDX-License-Identifier: MIT
"""The client's forward and the agent's CONNECT together: a port of this machine that
leads to a server as if there were nothing in between."""

import hashlib
import http.server
import os
import re
import socket
import threading
import urllib.request

import pytest

from agent import together
from client import Ctl

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
