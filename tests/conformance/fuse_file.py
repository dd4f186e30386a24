#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""fuse_file.py PATH SIZE ANSWERED SECONDS: a FUSE file system of one file over PATH, of
SIZE bytes. Each request for bytes is answered after SECONDS; one for bytes behind
ANSWERED never. Says "up", and goes when its standard input ends. See fuse(4) and
linux/fuse.h."""

import errno
import os
import select
import struct
import subprocess
import sys
import time

FORGET, GETATTR, SETATTR, OPEN, READ, WRITE = 2, 3, 4, 14, 15, 16
STATFS, RELEASE, FSYNC, FLUSH, INIT, INTERRUPT, BATCH_FORGET = 17, 18, 20, 25, 26, 36, 42

IN_HEADER = struct.Struct("<IIQQIIII")
OUT_HEADER = struct.Struct("<IiQ")
MAX_WRITE = 128 * 1024
DIRECT_IO = 1
MODE = 0o100777


class File:
    def __init__(self, path, size, answered, seconds):
        self.size, self.answered, self.seconds = size, answered, seconds
        self.fd = os.open("/dev/fuse", os.O_RDWR)
        subprocess.run(
            ["mount", "-i", "-t", "fuse", "-o",
             "fd=%d,rootmode=%o,user_id=0,group_id=0" % (self.fd, MODE), "none", path],
            pass_fds=[self.fd], check=True)

    def attributes(self):
        return struct.pack("<QII6Q10I", 0, 0, 0, 1, self.size, 0, 0, 0, 0, 0, 0, 0,
                           MODE, 1, 0, 0, 0, 4096, 0)

    def move(self, opcode, body):
        """The answer to a READ or WRITE."""
        offset, length = struct.unpack_from("<QI", body, 8)
        time.sleep(self.seconds)
        if opcode == READ:
            length = max(0, min(length, self.size - offset))
        if offset + length > self.answered:
            return None
        self.size = max(self.size, offset + length)
        return 0, bytes(length) if opcode == READ else struct.pack("<II", length, 0)

    def answer(self, opcode, body):
        """The error and the bytes of an answer; None for no answer."""
        if opcode == INIT:
            return 0, struct.pack("<IIIIHHIIHHI7I", 7, 31, 0, 0, 0, 0, MAX_WRITE, 1, *[0] * 10)
        if opcode in (GETATTR, SETATTR):
            return 0, self.attributes()
        if opcode == STATFS:
            return 0, bytes(80)
        if opcode == OPEN:
            return 0, struct.pack("<QII", 0, DIRECT_IO, 0)
        if opcode in (READ, WRITE):
            return self.move(opcode, body)
        if opcode in (RELEASE, FLUSH, FSYNC):
            return 0, b""
        return -errno.ENOSYS, b""

    def serve_one(self):
        message = os.read(self.fd, MAX_WRITE + 4096)
        _, opcode, unique, *_ = IN_HEADER.unpack_from(message)
        if opcode in (FORGET, BATCH_FORGET, INTERRUPT):
            return
        answer = self.answer(opcode, message[IN_HEADER.size:])
        if answer is None:
            return
        try:
            os.write(self.fd, OUT_HEADER.pack(OUT_HEADER.size + len(answer[1]), answer[0], unique) + answer[1])
        except FileNotFoundError:  # who asked has gone
            pass


def main():
    path, size, answered, seconds = sys.argv[1:]
    file = File(path, int(size), int(answered), float(seconds))
    print("up", flush=True)
    while True:
        ready = select.select([file.fd, sys.stdin], [], [])[0]
        if sys.stdin in ready:
            return
        file.serve_one()


main()
