# SPDX-License-Identifier: MIT
"""vmm_guest: the guest of a microVM from Python, by libvmmguest and asyncio.

    guest = Guest("unix:/run/vm/v.sock")        or "vsock:3"
    done = await guest.run(["uname", "-r"])     done.code, done.stdout, done.stderr, done.exited
    await guest.put("/etc/motd", b"hello\\n", mode=0o644)
    data = await guest.get("/etc/motd")
    status = await guest.request("STATUS_REQ")

    async with guest.start(["cat"], name="job", durable={}) as session:
        await session.write(b"hello\\n")
        async for stream, data in session:      "stdout", "stderr", "status"
            break
        await session.detach()                  it runs on, and is come back to:
    async with guest.attach("job") as session:
        done = await session.communicate(b"more")

Members of a request are those of PROTOCOL.md. What goes wrong is a GuestError, an OSError whose
errno is that of libvmmguest's header. When the connection of a durable session breaks, it is made
again, and nothing is lost or doubled. A task that is cancelled ends its operation.

One file, to be copied: it needs Python 3.7 and libvmmguest.so, and has no state but the library.
"""

import asyncio
import collections
import ctypes
import errno
import json
import os
import select

STDOUT, STDERR, STATUS, DATA, ENTRY, READY, CHANGE, LEFT, END = 2, 3, 4, 5, 6, 7, 8, 9, 10
NAMES = {STDOUT: "stdout", STDERR: "stderr", STATUS: "status", DATA: "data", ENTRY: "entry", READY: "ready",
         CHANGE: "change"}
JSON = {STATUS, ENTRY, CHANGE}
PIECE = 65536

Done = collections.namedtuple("Done", "code stdout stderr exited")


class GuestError(OSError):
    """What the guest, or the way to it, could not do. str() is for people; answer: a request's STATUS."""

    answer = None


def load():
    """The library: $VMM_GUEST_LIBRARY, or as installed."""
    lib = ctypes.CDLL(os.environ.get("VMM_GUEST_LIBRARY") or "libvmmguest.so.0.1")
    handle, text, size, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int
    found = ctypes.POINTER(ctypes.c_void_p), ctypes.POINTER(ctypes.c_size_t)
    for name, result, arguments in (
            ("new", handle, [text]), ("free", None, [handle]), ("set", number, [handle, text, ctypes.c_int64]),
            ("error_text", text, [handle]), ("answer", text, [handle]), ("begin", number, [handle, text, text]),
            ("next", number, [handle, *found]), ("result", number, [handle]),
            ("write", number, [handle, text, size]), ("room", size, [handle]), ("eof", number, [handle]),
            ("signal", number, [handle, number]), ("resize", number, [handle, ctypes.c_uint16, ctypes.c_uint16]),
            ("detach", number, [handle]), ("thaw", number, [handle]), ("offset", ctypes.c_uint64, [handle]),
            ("fd", number, [handle]), ("events", number, [handle]), ("timeout_ms", number, [handle]),
            ("step", None, [handle])):
        function = getattr(lib, "vmm_guest_" + name)
        function.restype, function.argtypes = result, arguments
    return lib


LIB = load()


class Operation:
    """One request, in the running loop: what the agent says comes by `async for`, as (name, value).

    Of a program: write(), eof(), signal(), resize(); communicate() does the whole. It ends with its
    `async with`, and with it a program that is not durable."""

    def __init__(self, guest, frame, members):
        self.code = None                # of a program that has ended
        self.left = False               # the durable session goes on without us
        self.ended = False
        self._loop = asyncio.get_event_loop()
        self._waiters = []
        self._next = None               # (event, value) that nobody has taken yet
        self._fd, self._timer = -1, None
        self._handle = LIB.vmm_guest_new(guest.address.encode())
        if not self._handle:
            raise MemoryError
        for option, value in guest.options.items():
            self._check(LIB.vmm_guest_set(self._handle, option.encode(), value))
        text = json.dumps(members).encode() if members else None
        self._check(LIB.vmm_guest_begin(self._handle, frame.encode(), text))
        self._loop.call_soon(self._turn)

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        self.close()

    def close(self):
        """Ends it, if it is under way."""
        if self._handle:
            self._disarm()
            LIB.vmm_guest_free(self._handle)
            self._handle = None
            self._wake()

    # ---- in the loop

    def _check(self, result):
        """RESULT, unless it is an error."""
        if result < 0:
            raise self._error(-result)
        return result

    def _error(self, number):
        words = LIB.vmm_guest_error_text(self._handle).decode("utf-8", "replace")
        return GuestError(number, words or os.strerror(number))

    def _turn(self):
        """As far as it goes without a wait."""
        if not self._handle:
            return
        self._disarm()                  # a step may close the descriptor
        LIB.vmm_guest_step(self._handle)
        self._take()
        self._arm()
        self._wake()

    def _take(self):
        """The next event, if there is one, and the last was taken."""
        if self._next is None and not self.ended:
            data, size = ctypes.c_void_p(), ctypes.c_size_t()
            event = LIB.vmm_guest_next(self._handle, ctypes.byref(data), ctypes.byref(size))
            if event:
                value = ctypes.string_at(data, size.value) if size.value else b""
                self._next = event, json.loads(value.decode()) if event in JSON else value

    def _arm(self):
        events = LIB.vmm_guest_events(self._handle)
        if self._next is not None:
            events &= ~select.POLLIN    # by which a guest that writes faster is slowed down
        self._fd = LIB.vmm_guest_fd(self._handle) if events and not self.ended else -1
        if self._fd >= 0 and events & select.POLLIN:
            self._loop.add_reader(self._fd, self._turn)
        if self._fd >= 0 and events & select.POLLOUT:
            self._loop.add_writer(self._fd, self._turn)
        wait = LIB.vmm_guest_timeout_ms(self._handle)
        if wait >= 0 and not self.ended:
            self._timer = self._loop.call_later(wait / 1000, self._turn)

    def _disarm(self):
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            self._loop.remove_writer(self._fd)
            self._fd = -1
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake(self):
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def _turned(self):
        """Until something has moved."""
        if not self._handle:
            raise GuestError(errno.ECANCELED, "it was closed")
        waiter = self._loop.create_future()
        self._waiters.append(waiter)
        await waiter

    # ---- what comes

    def __aiter__(self):
        return self

    async def __anext__(self):
        while not self.ended:
            if self._next is None:
                await self._turned()
                continue
            (event, value), self._next = self._next, None
            self.ended = event in (LEFT, END)
            if not self.ended:
                self._turn()
                if event in NAMES:      # else one that says more than is needed here
                    return NAMES[event], value
                continue
            self._finish(event)
        raise StopAsyncIteration

    def _finish(self, event):
        self._disarm()
        self._wake()
        self.left = event == LEFT
        if event == END:
            result = LIB.vmm_guest_result(self._handle)
            if result < 0:
                error = self._error(-result)
                answer = LIB.vmm_guest_answer(self._handle)
                error.answer = json.loads(answer.decode()) if answer else None
                raise error
            self.code = result

    # ---- what goes

    async def write(self, data):
        """Input, or bytes of an upload. Waits for room; what nobody reads any more is dropped."""
        view = memoryview(data)
        while len(view) > 0 and not self.ended:
            piece = bytes(view[:PIECE])
            taken = LIB.vmm_guest_write(self._handle, piece, len(piece))
            if taken == -errno.EPIPE:
                return
            view = view[self._check(taken):]
            self._turn()
            if LIB.vmm_guest_room(self._handle) == 0 and LIB.vmm_guest_result(self._handle) == -errno.EALREADY:
                await self._turned()

    async def eof(self):
        if not self.ended:
            self._check(LIB.vmm_guest_eof(self._handle))
            self._turn()

    async def signal(self, number):
        self._check(LIB.vmm_guest_signal(self._handle, number))
        self._turn()

    async def resize(self, columns, rows):
        self._check(LIB.vmm_guest_resize(self._handle, columns, rows))
        self._turn()

    async def thaw(self):
        self._check(LIB.vmm_guest_thaw(self._handle))
        self._turn()

    async def detach(self):
        """Leaves a durable session; what still comes of it is dropped."""
        self._check(LIB.vmm_guest_detach(self._handle))
        self._turn()
        async for _ in self:
            pass

    async def feed(self, source):
        """Writes all of SOURCE, bytes or an async iterator of them, and its end."""
        if isinstance(source, (bytes, bytearray, memoryview)):
            await self.write(source)
        else:
            async for data in source:
                await self.write(data)
        await self.eof()

    async def communicate(self, source=b""):
        """The whole of it: SOURCE goes in while output is read. A Done."""
        kept = {"stdout": bytearray(), "stderr": bytearray(), "exited": None}
        feeder = self._loop.create_task(self.feed(source))
        try:
            async for name, value in self:
                if name in kept:
                    kept[name] += value
                elif name == "status" and value.get("event") == "exited":
                    kept["exited"] = value
            return Done(self.code, bytes(kept["stdout"]), bytes(kept["stderr"]), kept["exited"])
        finally:
            feeder.cancel()
            await asyncio.gather(feeder, return_exceptions=True)


class Guest:
    """The agent at ADDRESS. OPTIONS are those of vmm_guest_set(): retry_ms=60000 while a VM boots."""

    def __init__(self, address, **options):
        self.address, self.options = address, options

    def start(self, cmd, **members):
        """A program, as an Operation."""
        return Operation(self, "START", dict(members, cmd=cmd))

    def attach(self, name, **members):
        """A durable session that runs or has ended, as an Operation."""
        return Operation(self, "ATTACH", dict(members, name=name))

    async def run(self, cmd, stdin=b"", **members):
        """A whole program: Done(code, stdout, stderr, exited)."""
        async with self.start(cmd, **members) as program:
            return await program.communicate(stdin)

    async def put(self, path, data, **members):
        """A file is as DATA says (bytes, or an async iterator of them), or as it was."""
        async with Operation(self, "FILE_WRITE_REQ", dict(members, path=path)) as upload:
            await upload.communicate(data)

    async def get(self, path, **members):
        """The bytes of a file."""
        async with Operation(self, "FILE_READ_REQ", dict(members, path=path)) as download:
            return b"".join([value async for name, value in download if name == "data"])

    async def request(self, frame, **members):
        """Any other request that ends by itself. Its answer, if it has one."""
        answer = None
        async with Operation(self, frame, members) as request:
            async for name, value in request:
                answer = value if name in ("status", "entry") else answer
        return answer
