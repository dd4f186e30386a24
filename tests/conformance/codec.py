# SPDX-License-Identifier: MIT
"""The wire contract as a host in Python sees it.

An independent second reading of the contract: nothing here is generated from,
or looks at, the agent's own code. Bytes to values and back; no sockets.

    encode(START, start(["true"]))      the bytes of one frame
    Decoder().feed(data)                the frames that are whole in what came
    exit_status(payload)                (code, signal) of an EXIT
"""

import base64
import json
import struct
from typing import NamedTuple

EXEC_PORT = 52
FILE_PORT = 53

FRAME_MAX = 16 * 1024 * 1024
JSON_MAX = 1024 * 1024

# Port 52, host to agent.
START = 0x01
STDIN = 0x02
RESIZE = 0x03
EOF = 0x04
CLOCK_SYNC = 0x05
NET_RECONFIG = 0x06
SIGNAL = 0x07
WAIT_PORT = 0x08
STATUS_REQ = 0x40
SHUTDOWN = 0x41
CONNECT = 0x42
RESTORED = 0x43
KILL = 0x44
ATTACH = 0x45
DETACH = 0x46
FORGET = 0x47
QUIESCE = 0x48
THAW = 0x49
OUTPUT_ACK = 0x4B

# Port 52, agent to host.
STDOUT = 0x10
STDERR = 0x11
EXIT = 0x12
STATUS = 0x50

# Port 53.
FILE_WRITE_REQ = 0x20
FILE_DATA = 0x21
FILE_DONE = 0x22
FILE_READ_REQ = 0x23
FILE_STAT_REQ = 0x24
FILE_LIST_REQ = 0x25
FILE_MKDIR_REQ = 0x26
FILE_REMOVE_REQ = 0x27
FILE_MOVE_REQ = 0x28
FILE_WATCH_REQ = 0x29
FILE_ACK = 0x30
FILE_ERR = 0x31
FILE_STAT = 0x32
FILE_LIST = 0x33
FILE_EVENT = 0x34
FILE_SYMLINK_REQ = 0x60
FILE_SET_REQ = 0x61
FILE_TREE_REQ = 0x62
FILE_LINK_REQ = 0x63

NAMES = {
    value: name
    for name, value in list(globals().items())
    if name.isupper() and isinstance(value, int) and value < 0x70
    and name not in ("EXEC_PORT", "FILE_PORT")
}


class WireError(Exception):
    """The agent sent what the contract does not allow."""


class Frame(NamedTuple):
    type: int
    payload: bytes

    @property
    def name(self):
        return NAMES.get(self.type, "0x%02x" % self.type)

    def json(self):
        return json.loads(self.payload.decode("utf-8"))

    def __repr__(self):
        shown = self.payload if len(self.payload) <= 80 else self.payload[:80] + b"..."
        return "<%s %d %r>" % (self.name, len(self.payload), shown)


def header(kind, length):
    """The five bytes in front of a payload; LENGTH need not be legal."""
    return struct.pack("<BI", kind, length)


def encode(kind, payload=b""):
    """One frame. PAYLOAD is bytes, or anything else that JSON can say."""
    if not isinstance(payload, (bytes, bytearray, memoryview)):
        payload = to_json(payload)
    return header(kind, len(payload)) + bytes(payload)


def to_json(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


class Decoder:
    """Frames out of a stream that may be cut anywhere."""

    def __init__(self):
        self._pending = bytearray()

    def feed(self, data):
        """Takes DATA; returns the list of frames that are whole now."""
        self._pending += data
        frames = []
        offset = 0
        while len(self._pending) - offset >= 5:
            kind, length = struct.unpack_from("<BI", self._pending, offset)
            if length > FRAME_MAX:
                raise WireError("frame 0x%02x of %d bytes" % (kind, length))
            if len(self._pending) - offset - 5 < length:
                break
            offset += 5
            frames.append(Frame(kind, bytes(self._pending[offset:offset + length])))
            offset += length
        del self._pending[:offset]
        return frames

    @property
    def pending(self):
        """Bytes of a frame that is not whole yet."""
        return len(self._pending)


# ---- payloads ---------------------------------------------------------------


def start(cmd, **members):
    """START's object; members that are given as None are left out."""
    value = {"cmd": cmd}
    value.update({k: v for k, v in members.items() if v is not None})
    return value


def resize(columns, rows, more=b""):
    return struct.pack("<HH", columns, rows) + more


def signal_number(number):
    return struct.pack("<i", number)


def clock_sync(seconds, nanoseconds, entropy=b""):
    return struct.pack("<qI", seconds, nanoseconds) + entropy


def base64_text(data):
    return base64.b64encode(data).decode("ascii")


def exit_status(payload):
    """(code, signal) of an EXIT, which must have 8 bytes."""
    if len(payload) != 8:
        raise WireError("EXIT of %d bytes" % len(payload))
    return struct.unpack("<ii", payload)


def net_exit(payload):
    """(code, signal, six times in microseconds) of NET_RECONFIG's EXIT."""
    if len(payload) != 32:
        raise WireError("NET_RECONFIG's EXIT of %d bytes" % len(payload))
    code, sig, *times = struct.unpack("<ii6I", payload)
    return code, sig, times
