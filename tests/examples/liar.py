# SPDX-License-Identifier: MIT
"""A guest that says what a test has it say: the other end of a Unix socket."""

import select
import socket
import struct
import threading

STDOUT, STDERR, EXIT, STATUS = 0x10, 0x11, 0x12, 0x50
FILE_DATA, FILE_DONE, FILE_ACK, FILE_ERR = 0x21, 0x22, 0x30, 0x31


def frame(kind, payload=b""):
    return struct.pack("<BI", kind, len(payload)) + payload


def end(code, signal=0):
    return frame(EXIT, struct.pack("<ii", code, signal))


class Liar:
    """Each connection gets the handshake's OK, unless the test has another, then `play(socket)`;
    it is closed when that returns. What play raises but for the client's going is the test's failure.

        with Liar(path, play) as liar: ...
    """

    def __init__(self, path, play, hello=b"OK 1\n"):
        self.path, self.play, self.hello = path, play, hello
        self.errors = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self):
        while True:
            try:
                sock = self.listener.accept()[0]
            except OSError:
                return
            with sock:
                try:
                    assert self.read_line(sock).startswith(b"CONNECT ")
                    sock.sendall(self.hello)
                    self.play(sock)
                except ConnectionError:
                    pass
                except Exception as error:
                    self.errors.append(error)

    @staticmethod
    def read_line(sock):
        line = b""
        while not line.endswith(b"\n"):
            byte = sock.recv(1)
            if not byte:
                raise ConnectionError
            line += byte
        return line

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(60)
        assert not self.errors, self.errors


def read_exactly(sock, count):
    data = b""
    while len(data) < count:
        more = sock.recv(count - len(data))
        if not more:
            raise ConnectionError
        data += more
    return data


def read_frame(sock):
    kind, length = struct.unpack("<BI", read_exactly(sock, 5))
    return kind, read_exactly(sock, length)


def read_to_close(sock):
    """Until the client has closed."""
    try:
        while sock.recv(1 << 20):
            pass
    except ConnectionError:
        pass


def wait_for_close(sock):
    """The same, and not a byte is read before: the client's way is blocked."""
    poll = select.poll()
    poll.register(sock, select.POLLRDHUP)
    poll.poll()
