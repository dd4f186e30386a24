# SPDX-License-Identifier: MIT
"""libvmmguest by ctypes, and the errors of it as exceptions.

    guest = Guest("unix:/tmp/agent")
    guest.run({"cmd": ["true"]})            0; Failed where there is no exit code
    guest.begin("START", {"cmd": ["cat"]}); guest.events()
"""

import ctypes
import errno
import json
import os
import select
import time

HERE = os.path.dirname(os.path.abspath(__file__))

NONE, CONNECT, STDOUT, STDERR, STATUS, DATA, ENTRY, READY, CHANGE, LEFT, END, QUIET, LOST = range(13)

POINTER = ctypes.c_void_p
SIGNATURES = {
    "new": (POINTER, [ctypes.c_char_p]),
    "free": (None, [POINTER]),
    "set": (ctypes.c_int, [POINTER, ctypes.c_char_p, ctypes.c_int64]),
    "error_text": (ctypes.c_char_p, [POINTER]),
    "run": (ctypes.c_int, [POINTER, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t]),
    "put": (ctypes.c_int, [POINTER, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t]),
    "get": (ctypes.c_int, [POINTER, ctypes.c_char_p]),
    "put_fd": (ctypes.c_int, [POINTER, ctypes.c_char_p, ctypes.c_int, ctypes.c_int]),
    "get_fd": (ctypes.c_int, [POINTER, ctypes.c_char_p, ctypes.c_int]),
    "request": (ctypes.c_int, [POINTER, ctypes.c_char_p, ctypes.c_char_p]),
    "wait_ready": (ctypes.c_int, [POINTER, ctypes.c_int]),
    "output": (POINTER, [POINTER, ctypes.c_int, ctypes.POINTER(ctypes.c_size_t)]),
    "answer": (ctypes.c_char_p, [POINTER]),
    "begin": (ctypes.c_int, [POINTER, ctypes.c_char_p, ctypes.c_char_p]),
    "next": (ctypes.c_int, [POINTER, ctypes.POINTER(POINTER), ctypes.POINTER(ctypes.c_size_t)]),
    "wait": (ctypes.c_int, [POINTER, ctypes.c_int, ctypes.POINTER(POINTER), ctypes.POINTER(ctypes.c_size_t)]),
    "refusal": (ctypes.c_char_p, [POINTER]),
    "result": (ctypes.c_int, [POINTER]),
    "write": (ctypes.c_int, [POINTER, ctypes.c_char_p, ctypes.c_size_t]),
    "room": (ctypes.c_size_t, [POINTER]),
    "eof": (ctypes.c_int, [POINTER]),
    "signal": (ctypes.c_int, [POINTER, ctypes.c_int]),
    "resize": (ctypes.c_int, [POINTER, ctypes.c_uint16, ctypes.c_uint16]),
    "detach": (ctypes.c_int, [POINTER]),
    "thaw": (ctypes.c_int, [POINTER]),
    "offset": (ctypes.c_uint64, [POINTER]),
    "ack": (ctypes.c_int, [POINTER, ctypes.c_uint64]),
    "abort": (None, [POINTER]),
    "fd": (ctypes.c_int, [POINTER]),
    "events": (ctypes.c_int, [POINTER]),
    "timeout_ms": (ctypes.c_int, [POINTER]),
    "step": (None, [POINTER]),
    "version": (ctypes.c_char_p, []),
}


def load():
    """The library beside the agent that is tested."""
    agent = os.environ.get("VMM_GUEST_AGENT") or os.path.join(HERE, "../../build/vmm-guest-agent")
    library = ctypes.CDLL(os.path.join(os.path.dirname(os.path.abspath(agent)), "libvmmguest.so"))
    for name, (result, arguments) in SIGNATURES.items():
        function = getattr(library, "vmm_guest_" + name)
        function.restype, function.argtypes = result, arguments
    return library


def dump(value):
    return json.dumps(value, separators=(",", ":"))


class Failed(Exception):
    """-errno, and the library's words."""

    def __init__(self, number, words):
        super().__init__("%s: %s" % (errno.errorcode.get(number, number), words))
        self.errno = number
        self.words = words


class Guest:
    """A handle."""

    library = None

    def __init__(self, address, **options):
        if Guest.library is None:
            Guest.library = load()
        self.handle = self.library.vmm_guest_new(address.encode())
        for option, value in options.items():
            self.call("set", option.encode(), value)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.library.vmm_guest_free(self.handle)
        self.handle = None

    def call(self, name, *arguments):
        """What the function returns, where that is no error."""
        result = getattr(self.library, "vmm_guest_" + name)(self.handle, *arguments)
        if SIGNATURES[name][0] is ctypes.c_int and result < 0 and name not in ("timeout_ms", "fd"):
            raise Failed(-result, self.library.vmm_guest_error_text(self.handle).decode())
        return result

    # ---- whole operations

    def run(self, start, data=b""):
        return self.call("run", dump(start).encode(), data, len(data))

    def put(self, request, data):
        return self.call("put", dump(request).encode(), data, len(data))

    def put_fd(self, request, fd, holes=False):
        return self.call("put_fd", dump(request).encode(), fd, holes)

    def get_fd(self, request, fd):
        return self.call("get_fd", dump(request).encode(), fd)

    def get(self, **request):
        self.call("get", dump(request).encode())
        return self.output(DATA)

    def request(self, frame, request=None):
        self.call("request", frame.encode(), None if request is None else dump(request).encode())
        return self.answer

    @property
    def answer(self):
        text = self.call("answer")
        return None if text is None else json.loads(text)

    def output(self, event):
        length = ctypes.c_size_t()
        return ctypes.string_at(self.call("output", event, ctypes.byref(length)), length.value)

    # ---- step by step

    def begin(self, frame, request=None):
        self.call("begin", frame.encode(), None if request is None else dump(request).encode())

    def next(self):
        """(event, bytes)."""
        data, length = POINTER(), ctypes.c_size_t()
        event = self.call("next", ctypes.byref(data), ctypes.byref(length))
        return event, ctypes.string_at(data, length.value) if length.value else b""

    def write(self, data):
        return self.call("write", data, len(data))

    def step(self, seconds):
        """One turn of an event loop, in which it waits for at most so long."""
        events, due = self.call("events"), self.call("timeout_ms")
        wait = seconds * 1000 if due < 0 else min(due, seconds * 1000)
        poll = select.poll()
        if events:
            poll.register(self.call("fd"), events)
        poll.poll(wait)
        self.call("step")

    def talk(self, data):
        """Writes DATA, and its end, while it reads. Returns all that comes."""
        found, sent = [], 0
        while sent < len(data):
            sent += self.write(data[sent:sent + 65536])
            self.step(0)
            while (got := self.next())[0] != NONE:
                found.append(got)
        self.call("eof")
        return found + self.until(END)

    def until(self, event, seconds=60):
        """All that comes up to EVENT, that too."""
        found = []
        deadline = time.monotonic() + seconds
        while not found or found[-1][0] != event:
            got = self.next()
            if got[0] == NONE:
                if time.monotonic() > deadline:
                    raise TimeoutError(found[-5:])
                self.step(1)
                continue
            found.append(got)
            if got[0] in (END, LEFT) and got[0] != event:
                raise AssertionError("%r came, and not %d: %s" % (found[-3:], event, self.call("error_text")))
        return found

    @property
    def result(self):
        return self.library.vmm_guest_result(self.handle)


def joined(events, event):
    return b"".join(data for kind, data in events if kind == event)
