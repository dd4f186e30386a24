# SPDX-License-Identifier: MIT
"""What the client does while something of it fails. The agent is whole.

A scenario is a function of a lab that makes what is needed and gives a Call: the
arguments, and what must hold where the exit status says that the work is done."""

import os
import re
import select
import signal
import socket
import subprocess
import time
from typing import Callable, NamedTuple

from judge import CRASHES, FALSE, HALF_FILES, HANGS, SILENT, Wrong, content

PATIENCE = 15.0
OLD = b"old" * 700
NEW = bytes(range(256)) * 600

# How the program ends where its reader has gone, or it could not restore the terminal.
QUIET_ENDS = (-signal.SIGPIPE, -signal.SIGINT)


class Call(NamedTuple):
    arguments: tuple
    is_done: Callable = lambda done: True       # told (exit status, output): all is as asked
    is_whole: Callable = lambda: True           # in any case: nothing is half
    code: int = 0
    input: bytes = b""
    talk: Callable = None                       # with the running process, until it ends


CLIENTS = {}


def client(function):
    CLIENTS["ctl " + function.__name__.replace("_", " ")] = function
    return function


def put(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)
    return path


# ---- programs -----------------------------------------------------------------


@client
def exec_plain(_):
    return Call(("exec", "--", "/bin/sh", "-c", "echo hello; exit 3"), lambda out: out == b"hello\n", code=3)


@client
def exec_interactive(_):
    return Call(("exec", "-i", "--", "cat"), lambda out: out == NEW, input=NEW)


@client
def exec_durable(_):
    return Call(("exec", "--durable=alone=1,keep=1", "--reconnect", "5", "-i", "--", "cat"),
                lambda out: out == NEW, input=NEW)


@client
def exec_left(_):
    return Call(("exec", "--durable=keep=1", "-d", "--", "true"), lambda out: re.fullmatch(rb"true-[0-9a-f]{8}\n", out))


def ended(lab):
    """The name of a session that has ended; the one before is given up."""
    def ctl(*args):
        return subprocess.run((lab.tools.ctl, "-a", "unix:" + lab.agent.path, *args), stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, check=False)
    ctl("forget", "ended")
    ctl("exec", "-d", "--name", "ended", "--", "/bin/sh", "-c", "echo hello; exit 3")
    assert ctl("attach", "ended").returncode == 3
    return "ended"


@client
def attach(lab):
    return Call(("attach", "--reconnect", "5", ended(lab)), lambda out: out == b"hello\n", code=3)


@client
def logs(lab):
    return Call(("logs", "-f", "--reconnect", "5", ended(lab)), lambda out: out == b"hello\n")


@client
def sessions(lab):
    name = ended(lab).encode()
    return Call(("sessions",), lambda out: name in out)


@client
def exec_reported(lab):
    path = lab.folder + "/report"
    return Call(("exec", "--report=" + path, "-e", "A=b", "-w", "/tmp", "-u", "0", "--", "/bin/sh", "-c", "echo $A"),
                lambda out: out == b"b\n" and b"exited" in content(path))


# ---- files --------------------------------------------------------------------


@client
def cp_in(lab):
    source, to = put(lab.folder + "/source", NEW), put(lab.folder + "/to", OLD)
    return Call(("cp", "-p", source, "vm:" + to), lambda out: content(to) == NEW,
                lambda: content(to) in (OLD, NEW))


@client
def cp_in_holes(lab):
    source, to = put(lab.folder + "/source", NEW), put(lab.folder + "/to", OLD)
    whole = NEW + bytes((4 << 20) - len(NEW))
    os.truncate(source, len(whole))
    return Call(("cp", source, "vm:" + to), lambda out: content(to) == whole,
                lambda: content(to) in (OLD, whole))


@client
def cp_out(lab):
    source, to = put(lab.folder + "/source", NEW), put(lab.folder + "/to", OLD)
    return Call(("cp", "-p", "vm:" + source, to), lambda out: content(to) == NEW,
                lambda: content(to) in (OLD, NEW))


@client
def cp_out_new(lab):
    source, to = put(lab.folder + "/source", NEW), lab.folder + "/to"
    return Call(("cp", "vm:" + source, to), lambda out: content(to) == NEW,
                lambda: content(to) in (None, NEW))


def a_tree(lab):
    for name in ("a", "below/b", "below/c/d"):
        put(lab.folder + "/tree/" + name, name.encode() * 5000)
    os.symlink("nowhere", lab.folder + "/tree/below/link")
    return lab.folder + "/tree"


def picture(top):
    """Names below TOP, and what they are."""
    found = {}
    for folder, folders, files in os.walk(top):
        for name in folders + files:
            path = os.path.join(folder, name)
            found[os.path.relpath(path, top)] = (
                os.readlink(path) if os.path.islink(path) else
                content(path) if os.path.isfile(path) else "directory")
    return found


def copied(tree, to):
    """Whether each file that is there is whole."""
    there = picture(to)
    return all(picture(tree).get(name) == what for name, what in there.items())


@client
def cp_tree_in(lab):
    tree, to = a_tree(lab), lab.folder + "/to"
    return Call(("cp", "-rp", tree, "vm:" + to), lambda out: picture(tree) == picture(to),
                lambda: copied(tree, to))


@client
def cp_tree_out(lab):
    tree, to = a_tree(lab), lab.folder + "/to"
    return Call(("cp", "-rp", "vm:" + tree, to), lambda out: picture(tree) == picture(to),
                lambda: copied(tree, to))


@client
def cat(lab):
    return Call(("cat", put(lab.folder + "/source", NEW)), lambda out: out == NEW)


@client
def ls(lab):
    tree = a_tree(lab)
    return Call(("ls", "-l", tree, tree + "/below"),
                lambda out: all(word in out for word in (b" a\n", b" below\n", b" b\n", b"link -> nowhere")))


@client
def stat(lab):
    return Call(("stat", put(lab.folder + "/source", OLD)), lambda out: b"2100" in out)


@client
def mkdir(lab):
    return Call(("mkdir", lab.folder + "/made"), lambda out: os.path.isdir(lab.folder + "/made"))


@client
def mv(lab):
    source, to = put(lab.folder + "/source", NEW), lab.folder + "/to"
    return Call(("mv", source, to), lambda out: content(to) == NEW,
                lambda: (content(source) is None) != (content(to) is None))


@client
def rm(lab):
    tree = a_tree(lab)
    return Call(("rm", "-r", tree), lambda out: not os.path.exists(tree))


# ---- what goes on until it is interrupted -------------------------------------


def interrupt(process):
    process.send_signal(signal.SIGINT)


@client
def watch(lab):
    def talk(process):
        """Until the first event is seen. The client must say it, or end."""
        os.set_blocking(process.stdout.fileno(), False)
        deadline = time.monotonic() + PATIENCE
        number, seen = 0, b""
        while process.poll() is None and b"created" not in seen:
            if time.monotonic() > deadline:
                raise Wrong(HANGS, "no event, and no end")
            put("%s/f%d" % (lab.folder, number), b"")
            number += 1
            time.sleep(0.01)
            seen += process.stdout.read() or b""
        interrupt(process)

    return Call(("watch", lab.folder), talk=talk)


@client
def forward(lab):
    def talk(process):
        if not select.select([process.stdout], [], [], PATIENCE)[0]:
            raise Wrong(HANGS, "nobody hears on which port it listens")
        line = process.stdout.readline()
        port = re.search(rb"listening on \S+ port (\d+)", line)
        if port:
            carry(int(port[1]))
        interrupt(process)

    def carry(port):
        """What comes is a beginning of what was sent; an end without a reset says that
        it is all."""
        try:
            with socket.create_connection(("127.0.0.1", port), PATIENCE) as sock:
                sock.sendall(NEW)
                sock.shutdown(socket.SHUT_WR)
                got = b""
                while data := sock.recv(65536):
                    got += data
        except TimeoutError:
            raise Wrong(HANGS, "a connection that is carried hangs") from None
        except OSError:
            return
        if got != NEW:
            raise Wrong(FALSE, "a clean end after %d bytes of %d" % (len(got), len(NEW)))

    return Call(("forward", "0:%d" % lab.echo_port), talk=talk)


# ---- control ------------------------------------------------------------------


@client
def status(_):
    return Call(("status",), lambda out: b"workers" in out.lower())


@client
def status_json(_):
    return Call(("status", "--json"), lambda out: out.startswith(b"{") and out.endswith(b"}\n"))


@client
def ps(_):
    return Call(("ps",))


@client
def wait(_):
    return Call(("wait", "--timeout", "5"))


@client
def wait_port(lab):
    return Call(("wait-port", "--timeout", "5", str(lab.echo_port)))


@client
def restored(_):
    return Call(("restored", "--help"), lambda out: b"Usage" in out)


@client
def quiesce(lab):
    path = lab.folder + "/report"
    return Call(("quiesce", "--no-sessions", "--no-sync", "--report=" + path, "--", "/bin/echo", "hello"),
                lambda out: out == b"hello\n" and b"thawed" in content(path))


@client
def quiesce_for_input(_):
    return Call(("quiesce", "--no-sessions", "--no-sync"), lambda out: out == b"", input=b"x")


@client
def thaw(_):
    return Call(("thaw",), code=1)


# ---- one run ------------------------------------------------------------------


def run(argv, env, call):
    """Runs it to its end, and raises Wrong where that is not as it should be."""
    process = subprocess.Popen(argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    try:
        if call.talk is not None:
            call.talk(process)
        out, err = process.communicate(call.input, PATIENCE)
    except subprocess.TimeoutExpired:
        raise Wrong(HANGS, "no end") from None
    finally:
        process.kill()
        process.wait()
    code = process.returncode
    if -code in (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL):
        raise Wrong(CRASHES, "signal %d: %r" % (-code, err[-200:]))
    if not call.is_whole():
        raise Wrong(HALF_FILES, "%d, %r" % (code, err[-200:]))
    if call.talk is None and code == call.code and not call.is_done(out):
        raise Wrong(FALSE, "exit status %d, and it is not done: %r, %r" % (code, out[:200], err[-200:]))
    if code != call.code and code not in QUIET_ENDS and not err:
        raise Wrong(SILENT, "exit status %d without a word" % code)
