# SPDX-License-Identifier: MIT
"""The host's end of a guest's vsock device, with no help of the machine's kernel.

    host = HostVsock(folder)      Guest(…, machine="q35", devices=host.devices(256))
                                  or host.backend(256), and DEVICE to be plugged in
    host.path                     a Unix socket: "CONNECT 52\\n" leads to the guest's port 52
    host.path + "_51"             where the guest's connections to CID 2, port 51 lead
    host.piece = 205              a packet to the guest has no more data than that

As Firecracker and Cloud Hypervisor have it: a close of the host's end, half or
whole, becomes a whole one; a half one of the guest's is not passed on. And as with
Firecracker, each new host begins with the same port. QEMU reaches
it by the vhost-user protocol (its docs/interop/vhost-user.rst); the packets are
those of "Socket Device" in the virtio specification.
"""

import array
import collections
import mmap
import os
import pathlib
import selectors
import socket
import struct
import threading
import time

HOST_CID, GUEST_CID = 2, 3
DEVICE = {"driver": "vhost-user-vsock-pci", "id": "vsock0", "chardev": "vsock"}
FIRST_PORT = 1 << 30
REQUEST, RESPONSE, RST, SHUTDOWN, RW, CREDIT_UPDATE, CREDIT_REQUEST = range(1, 8)
RECEIVE_AND_SEND = 3
HEADER = struct.Struct("<QQIIIHHIII")  # of a packet
WINDOW = 256 * 1024
PIECE = 2048  # of data in one packet, if not told otherwise; the guest's buffers hold a page

VERSION_1, PROTOCOL_FEATURES = 1 << 32, 1 << 30
PROTOCOL_CONFIG = 1 << 9
DESC_NEXT = 1
NO_DESCRIPTOR = 1 << 8  # in the payload of SET_VRING_KICK and its like


class Memory:
    """The guest's memory, by its own addresses or by QEMU's."""

    def __init__(self, payload, fds):
        (count,) = struct.unpack_from("<I", payload)
        self.regions = []
        for i, fd in zip(range(count), fds):
            guest, size, user, offset = struct.unpack_from("<QQQQ", payload, 8 + 32 * i)
            self.regions.append((guest, user, size, offset, mmap.mmap(fd, offset + size)))
            os.close(fd)

    def find(self, address, is_user=False):
        for guest, user, size, offset, memory in self.regions:
            start = user if is_user else guest
            if start <= address < start + size:
                return memory, offset + address - start
        raise ValueError(f"no memory at {address:#x}")


class Queue:
    """A split virtqueue."""

    def __init__(self):
        self.size = self.last = 0
        self.addresses = None
        self.call = None

    def chain(self, memory):
        """The next chain that the guest has made available: its head and its parts,
        each (memory, offset, length); or None."""
        if self.addresses is None:
            return None
        ring, at = memory.find(self.addresses["avail"], True)
        if struct.unpack_from("<H", ring, at + 2)[0] == self.last & 0xFFFF:
            return None
        (head,) = struct.unpack_from("<H", ring, at + 4 + 2 * (self.last % self.size))
        self.last += 1
        table, base = memory.find(self.addresses["desc"], True)
        parts, index, flags = [], head, DESC_NEXT
        while flags & DESC_NEXT:
            address, length, flags, following = struct.unpack_from("<QIHH", table, base + 16 * index)
            parts.append((*memory.find(address), length))
            index = following
        return head, parts

    def done(self, memory, head, length):
        ring, at = memory.find(self.addresses["used"], True)
        (index,) = struct.unpack_from("<H", ring, at + 2)
        struct.pack_into("<II", ring, at + 4 + 8 * (index % self.size), head, length)
        struct.pack_into("<H", ring, at + 2, (index + 1) & 0xFFFF)
        if self.call is not None:
            os.write(self.call, struct.pack("<Q", 1))


class Stream:
    """One connection: a Unix socket on this side, two ports on the other."""

    def __init__(self, sock, host_port, guest_port, is_ours):
        self.sock = sock
        self.key = (host_port, guest_port)
        self.is_ours = is_ours  # the host began it, and waits for "OK"
        self.is_up = False
        self.to_unix = bytearray()
        self.forwarded = self.announced = 0
        self.sent = self.peer_alloc = self.peer_forwarded = 0
        self.is_closing = False

    def room(self):
        return self.peer_alloc - (self.sent - self.peer_forwarded)


class HostVsock:
    def __init__(self, folder, cid=GUEST_CID):
        self.path = str(pathlib.Path(folder) / "vsock")
        self.cid = cid
        self.piece = PIECE
        self.granted = 0  # the window that the guest spoke of last
        self._selector = selectors.DefaultSelector()
        self._vhost_listener = self._listen(self.path + ".vhost", self._accept_qemu)
        self._listener = self._listen(self.path, self._accept_host)
        self._memory = None
        self._queues = (Queue(), Queue())
        self._packets = collections.deque()
        self._streams = {}
        self._next_port = FIRST_PORT
        self._held_until = 0.0
        self._wake_read, self._wake_write = os.pipe()
        self._selector.register(self._wake_read, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self._thread.start()

    def devices(self, memory_mib):
        device = ",".join((DEVICE["driver"], f"id={DEVICE['id']}", f"chardev={DEVICE['chardev']}"))
        return (*self.backend(memory_mib), "-device", device)

    def backend(self, memory_mib):
        """What stands behind the device."""
        return (
            "-object", f"memory-backend-memfd,id=shared,size={memory_mib}M,share=on",
            "-machine", "memory-backend=shared",
            "-chardev", f"socket,id={DEVICE['chardev']},path={self.path}.vhost",
        )  # fmt: skip

    def hold(self, seconds):
        """Looks at nothing that the guest sends for so long, as a monitor that is busy."""
        self._held_until = time.monotonic() + seconds

    def is_up(self):
        """Whether the guest's driver has given us its queues; connections are refused until then."""
        return all(queue.addresses is not None for queue in self._queues)

    def has_sent_all(self):
        """Whether no packet waits for a buffer of the guest's."""
        return not self._packets

    def lacks_credit(self):
        """Whether the guest takes nothing more of some connection."""
        return any(stream.is_up and stream.room() == 0 for stream in list(self._streams.values()))

    def close(self):
        os.write(self._wake_write, b"x")
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            if isinstance(key.fileobj, socket.socket):
                key.fileobj.close()

    # ---- the loop

    def _listen(self, path, accept):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen()
        self._selector.register(listener, selectors.EVENT_READ, accept)
        return listener

    def _loop(self):
        while True:
            held = self._held_until - time.monotonic()
            for key, _ in self._selector.select(held if held > 0 else None):
                if key.data is None:
                    return
                key.data(key.fileobj)
            self._serve_queues()

    def _serve_queues(self):
        if self._memory is None:
            return
        is_held = time.monotonic() < self._held_until
        while not is_held and (taken := self._queues[1].chain(self._memory)) is not None:
            head, parts = taken
            packet = b"".join(bytes(memory[at : at + length]) for memory, at, length in parts)
            self._queues[1].done(self._memory, head, 0)
            self._take_packet(HEADER.unpack_from(packet), packet[HEADER.size :])
        while self._packets and (taken := self._queues[0].chain(self._memory)) is not None:
            head, parts = taken
            rest = packet = self._packets.popleft()
            for memory, at, length in parts:
                piece, rest = rest[:length], rest[length:]
                memory[at : at + len(piece)] = piece
            assert not rest, "the guest's buffer is too small"
            self._queues[0].done(self._memory, head, len(packet))

    # ---- QEMU

    def _accept_qemu(self, listener):
        conn, _ = listener.accept()
        self._selector.register(conn, selectors.EVENT_READ, self._take_message)

    def _take_message(self, conn):
        fds = array.array("i")
        try:
            data, control, _, _ = conn.recvmsg(12, socket.CMSG_SPACE(8 * 4))
        except ConnectionResetError:
            data = b""
        if len(data) < 12:  # QEMU has ended
            self._selector.unregister(conn)
            return
        for _, _, rights in control:
            fds.frombytes(rights)
        kind, _, size = struct.unpack("<III", data)
        payload = b""
        while len(payload) < size:
            payload += conn.recv(size - len(payload))
        reply = self._obey(kind, payload, list(fds))
        if reply is not None:
            conn.sendall(struct.pack("<III", kind, 5, len(reply)) + reply)

    def _obey(self, kind, payload, fds):
        number = struct.unpack_from("<Q", payload)[0] if len(payload) >= 8 else 0
        index, value = struct.unpack_from("<II", payload) if len(payload) >= 8 else (0, 0)
        if kind == 1:  # GET_FEATURES
            return struct.pack("<Q", VERSION_1 | PROTOCOL_FEATURES)
        if kind == 15:  # GET_PROTOCOL_FEATURES
            return struct.pack("<Q", PROTOCOL_CONFIG)
        if kind == 5:  # SET_MEM_TABLE
            self._memory = Memory(payload, fds)
        elif kind == 8:  # SET_VRING_NUM
            self._queues[index].size = value
        elif kind == 9:  # SET_VRING_ADDR
            _, _, desc, used, avail = struct.unpack_from("<IIQQQ", payload)
            self._queues[index].addresses = {"desc": desc, "used": used, "avail": avail}
        elif kind == 10:  # SET_VRING_BASE
            self._queues[index].last = value
        elif kind == 11:  # GET_VRING_BASE: the queue stops
            queue = self._queues[index]
            queue.addresses = None
            self._forget_all()
            return struct.pack("<II", index, queue.last & 0xFFFF)
        elif kind == 12 and not number & NO_DESCRIPTOR:  # SET_VRING_KICK
            self._selector.register(fds[0], selectors.EVENT_READ, lambda fd: os.read(fd, 8))
        elif kind == 13 and not number & NO_DESCRIPTOR:  # SET_VRING_CALL
            self._queues[number & 0xFF].call = fds[0]
        elif kind == 24:  # GET_CONFIG
            offset, size, flags = struct.unpack_from("<III", payload)
            config = struct.pack("<Q", self.cid).ljust(offset + size, b"\0")
            return struct.pack("<III", offset, size, flags) + config[offset : offset + size]
        return None

    def _forget_all(self):
        self._packets.clear()
        for stream in list(self._streams.values()):
            self._drop(stream)

    # ---- hosts

    def _accept_host(self, listener):
        conn, _ = listener.accept()
        line = b""
        conn.settimeout(5)
        while not line.endswith(b"\n") and len(line) < 32:
            line += conn.recv(1) or b"\n"
        word, _, port = line.decode().strip().partition(" ")
        if word != "CONNECT" or self._queues[1].addresses is None:
            conn.close()
            return
        stream = self._add(conn, self._next_port, int(port), True)
        self._next_port += 1
        self._send(stream, REQUEST)

    def _add(self, conn, host_port, guest_port, is_ours):
        conn.setblocking(False)
        stream = Stream(conn, host_port, guest_port, is_ours)
        self._streams[stream.key] = stream
        return stream

    def _watch(self, stream):
        """Waits for what can be acted on."""
        events = selectors.EVENT_WRITE if stream.to_unix else 0
        if stream.is_up and not stream.is_closing and stream.room() > 0:
            events |= selectors.EVENT_READ
        is_known = stream.sock in self._selector.get_map()
        if not events:
            if is_known:
                self._selector.unregister(stream.sock)
        elif is_known:
            self._selector.modify(stream.sock, events, lambda _: self._turn(stream))
        else:
            self._selector.register(stream.sock, events, lambda _: self._turn(stream))

    def _turn(self, stream):
        if self._streams.get(stream.key) is not stream:
            return
        try:
            self._flush(stream)
            if stream.is_up and not stream.is_closing and stream.room() > 0:
                self._read_host(stream)
        except BlockingIOError:
            pass
        except OSError:
            self._send(stream, RST)
            self._drop(stream)
            return
        if stream.is_closing and not stream.to_unix:
            self._send(stream, RST)
            self._drop(stream)
        elif stream.key in self._streams:
            self._watch(stream)

    def _flush(self, stream):
        while stream.to_unix:
            try:
                count = stream.sock.send(stream.to_unix)
            except BlockingIOError:
                return
            del stream.to_unix[:count]
            stream.forwarded += count
        if stream.forwarded - stream.announced >= WINDOW // 4:
            self._send(stream, CREDIT_UPDATE)

    def _read_host(self, stream):
        data = stream.sock.recv(min(self.piece, stream.room()))
        if data:
            stream.sent += len(data)
            self._send(stream, RW, data)
            return
        self._send(stream, SHUTDOWN, flags=RECEIVE_AND_SEND)
        self._drop(stream)

    def _drop(self, stream):
        if stream.sock in self._selector.get_map():
            self._selector.unregister(stream.sock)
        stream.sock.close()
        self._streams.pop(stream.key, None)

    # ---- the guest

    def _send(self, stream, kind, data=b"", flags=0):
        stream.announced = stream.forwarded
        self._packets.append(self._pack(*stream.key, kind, data, flags, stream.forwarded))

    def _pack(self, host_port, guest_port, kind, data=b"", flags=0, forwarded=0):
        return HEADER.pack(
            HOST_CID, self.cid, host_port, guest_port, len(data), 1, kind, flags, WINDOW,
            forwarded & 0xFFFFFFFF,
        ) + data  # fmt: skip

    def _take_packet(self, header, data):
        _, _, guest_port, host_port, length, _, kind, flags, alloc, forwarded = header
        stream = self._streams.get((host_port, guest_port))
        if kind == REQUEST and stream is None:
            stream = self._answer(host_port, guest_port)
        if stream is None:
            if kind != RST:
                self._packets.append(self._pack(host_port, guest_port, RST))
            return
        self.granted = alloc
        stream.peer_alloc, stream.peer_forwarded = alloc, forwarded
        if kind == RESPONSE:
            stream.is_up = True
            stream.to_unix += b"OK %d\n" % host_port
            stream.forwarded -= len(stream.to_unix)  # these bytes were not the guest's
        elif kind == RW:
            stream.to_unix += data[:length]
        elif kind == CREDIT_REQUEST:
            self._send(stream, CREDIT_UPDATE)
        elif kind == RST:
            self._drop(stream)
            return
        elif kind == SHUTDOWN and flags == RECEIVE_AND_SEND:
            stream.is_closing = True
        self._turn(stream)

    def _answer(self, host_port, guest_port):
        conn = socket.socket(socket.AF_UNIX)
        try:
            conn.connect(f"{self.path}_{host_port}")
        except OSError:
            conn.close()
            return None
        stream = self._add(conn, host_port, guest_port, False)
        stream.is_up = True
        self._send(stream, RESPONSE)
        return stream
