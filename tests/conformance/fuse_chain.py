#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""fuse_chain.py PATH NAME...: a FUSE file system over PATH of directories in each other that
have these NAMEs, which may be longer than others allow. None of them is ever the directory
that it was: each look finds another inode number. Says "up", and goes when its standard input
ends. See fuse(4) and linux/fuse.h."""

import errno
import itertools
import os
import select
import struct
import subprocess
import sys

LOOKUP, FORGET, GETATTR, STATFS, INIT, OPENDIR, READDIR, RELEASEDIR = 1, 2, 3, 17, 26, 27, 28, 29
INTERRUPT, BATCH_FORGET = 36, 42

IN_HEADER = struct.Struct("<IIQQIIII")
OUT_HEADER = struct.Struct("<IiQ")
MESSAGE_MAX = 132 * 1024
MODE = 0o040755

numbers = itertools.count(1000)


def attributes():
    return struct.pack("<6Q10I", next(numbers), 0, 0, 0, 0, 0, 0, 0, 0, MODE, 2, 0, 0, 0, 4096, 0)


def answer(names, opcode, node, body):
    """The error and the bytes of an answer. The root's number is 1, that of what is in it 2."""
    name = os.fsencode(names[node - 1]) if 1 <= node <= len(names) else None
    if opcode == INIT:
        return 0, struct.pack("<IIIIHHIIHHI7I", 7, 31, 0, 0, 0, 0, 4096, 1, *[0] * 10)
    if opcode == GETATTR:
        return 0, bytes(16) + attributes()
    if opcode == LOOKUP and body.rstrip(b"\0") == name:
        return 0, struct.pack("<QQQQII", node + 1, 0, 0, 0, 0, 0) + attributes()
    if opcode == LOOKUP:
        return -errno.ENOENT, b""
    if opcode == READDIR:
        offset, = struct.unpack_from("<Q", body, 8)
        if offset > 0 or name is None:
            return 0, b""
        return 0, struct.pack("<QQII", node + 1, 1, len(name), 4) + name + bytes(-len(name) % 8)
    if opcode in (OPENDIR, STATFS, RELEASEDIR):
        return 0, bytes({OPENDIR: 16, STATFS: 80, RELEASEDIR: 0}[opcode])
    return -errno.ENOSYS, b""


def main():
    path, *names = sys.argv[1:]
    fd = os.open("/dev/fuse", os.O_RDWR)
    subprocess.run(["mount", "-i", "-t", "fuse", "-o", "fd=%d,rootmode=%o,user_id=0,group_id=0" % (fd, MODE),
                    "none", path], pass_fds=[fd], check=True)
    print("up", flush=True)
    while sys.stdin not in select.select([fd, sys.stdin], [], [])[0]:
        message = os.read(fd, MESSAGE_MAX)
        _, opcode, unique, node, *_ = IN_HEADER.unpack_from(message)
        if opcode in (FORGET, BATCH_FORGET, INTERRUPT):
            continue
        error, data = answer(names, opcode, node, message[IN_HEADER.size:])
        try:
            os.write(fd, OUT_HEADER.pack(OUT_HEADER.size + len(data), error, unique) + data)
        except FileNotFoundError:  # who asked has gone
            pass


main()
