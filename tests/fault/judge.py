# SPDX-License-Identifier: MIT
"""What may be wrong with how the agent, or the client, took a fault; and what of it the
contract allows."""

import codec

# Each is a figure of the report, and has to be 0.
SUPERVISOR_EXITS = "supervisor exits"
NOT_SERVED = "next sessions not served"
HANGS = "hangs"
SILENT = "silent ends"
HALF_FILES = "half files"
LEAKS = "leaks"
FALSE = "false successes"
CRASHES = "crashes"
KINDS = (CRASHES, SUPERVISOR_EXITS, NOT_SERVED, HANGS, SILENT, HALF_FILES, LEAKS, FALSE)


class Wrong(Exception):
    """KIND is one of KINDS; the text says what was seen."""

    def __init__(self, kind, text):
        super().__init__("%s: %s" % (kind, text))
        self.kind = kind


# What a fault may do after all: (kind, roles, calls, errnos, reason). "*" is any.
ALLOWED = [
    (SILENT, "worker", "recvfrom sendmsg sendto", "ECONNRESET EPIPE",
     "the connection is gone, as far as the agent can know: nothing can be said on it"),
    (SILENT, "worker", "getsockopt", "*",
     "who is there can't be known, and a stranger is not answered"),
    (SILENT, "worker", "inotify_add_watch newfstatat openat getdents64 chdir", "ENOENT ENOTDIR ELOOP",
     "what was removed meanwhile is not there to be watched"),
    (FALSE, "worker main", "newfstatat openat getdents64 readlinkat unlinkat", "ENOENT",
     "what was removed meanwhile is neither listed nor copied nor there to be removed"),
    (FALSE, "worker", "write splice", "EPIPE",
     "the program has closed its standard input: what it did not want is dropped"),
    (HANGS, "worker", "write", "EIO",
     "on a terminal this is the end: what is typed has no reader any more"),
    (FALSE + HANGS, "worker", "read splice", "EIO",
     "on a terminal this is the end: the last process has closed its side"),
    (FALSE + HANGS, "worker", "ioctl", "*",
     "a terminal that can't be resized or asked for its end of file, and no frame says so"),
    (FALSE, "worker", "read", "EAGAIN",
     "a file that would have to be waited for, as /proc has them, ends where it stands"),
    (SILENT + HANGS, "worker", "write", "EPIPE EDQUOT EFBIG ENOSPC",
     "a file is no pipe, and a terminal no disk: the kernel never says so of one"),
    (HANGS + LEAKS, "worker", "kill pidfd_open pidfd_send_signal", "ESRCH EPERM",
     "a signal that can't be sent is not received, and no frame says so"),
    (SILENT + LEAKS + HANGS + NOT_SERVED, "main", "waitid wait4", "ECHILD",
     "who is no child of ours is neither buried nor killed: the kernel's word"),
    (SILENT + LEAKS + HANGS + NOT_SERVED, "main", "waitid wait4", "EINTR",
     "with WNOHANG, and all signals blocked, the kernel never says so"),
    (LEAKS, "worker", "close_range", "*",
     "Linux has it since 5.9: where a filter takes it away, the worker holds what he never uses"),
    (HANGS, "main", "sendto sendmsg", "EPIPE ECONNRESET",
     "the client hears from the other end that the connection broke: here it has not"),
    (SILENT, "main", "recvmsg", "*",
     "no duplicate of the connection in the queue: nothing can be said on it"),
    (SILENT, "main", "sendto sendmsg", "*",
     "of a dead worker's host nobody waits for a place to say it"),
    (LEAKS, "main", "fcntl", "*",
     "where no high number is to be had the workers hold a descriptor that they never use"),
]  # fmt: skip


def content(path):
    """What a file holds; None where there is none."""
    try:
        with open(path, "rb") as f:
            return f.read()
    except FileNotFoundError:
        return None


def allowed(kind, fault):
    """The reason for which FAULT may have this end, or None."""
    for one, roles, calls, errnos, reason in ALLOWED:
        if (kind in one and fault.role in roles.split() and
                (calls == "*" or fault.call in calls.split()) and
                (errnos == "*" or fault.errno in errnos.split())):
            return reason
    return None


# ---- answers ------------------------------------------------------------------


def answer_of(conn, timeout):
    """All that comes until the agent closes: a Result. What does not come is a hang."""
    try:
        return conn.result(timeout)
    except TimeoutError as error:
        raise Wrong(HANGS, str(error)) from None
    except AssertionError as error:
        raise Wrong(FALSE, str(error)) from None
    finally:
        conn.close()


def told(conn, timeout, code=0, stdout=b"", sig=0):
    """The session on CONN must give EXIT: that with CODE and STDOUT, or one that says in
    words why not. Returns the Result where all went well, else None."""
    result = answer_of(conn, timeout)
    if result.exit is None:
        raise Wrong(SILENT, "no EXIT in %r" % (result.frames,))
    if not stdout.startswith(result.stdout):
        raise Wrong(FALSE, "%r is no beginning of what it should be" % result.stdout[-80:])
    if (result.code, result.signal) == (code, sig):
        if result.stdout != stdout:
            raise Wrong(FALSE, "EXIT %d with %d bytes of %d" % (code, len(result.stdout), len(stdout)))
        return result
    if result.code in (125, 126, 127) and not result.stderr:
        raise Wrong(SILENT, "EXIT %d without a word" % result.code)
    return None


def control_told(conn, timeout, codes=(0, -1)):
    """A control request's EXIT. Returns the Result."""
    result = answer_of(conn, timeout)
    if result.exit is None:
        raise Wrong(SILENT, "no EXIT in %r" % (result.frames,))
    if result.code not in codes + (125,):
        raise Wrong(FALSE, "EXIT %d" % result.code)
    return result


def file_told(conn, timeout, last):
    """The frames of a file request, which end in one of type LAST or FILE_ERR. None for
    the latter."""
    frames = answer_of(conn, timeout).frames
    if not frames or frames[-1].type not in (last, codec.FILE_ERR):
        raise Wrong(SILENT, "the last of %r" % (frames[-4:],))
    return frames if frames[-1].type == last else None
