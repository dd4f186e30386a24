# SPDX-License-Identifier: MIT
"""The clients of tests/examples, built, and driven.

    drive ADDRESS run [OPTION…] -- ARG…       standard input is the program's
    drive ADDRESS put [OPTION…] -- PATH       standard input is the file
    drive ADDRESS get [OPTION…] -- PATH
    drive ADDRESS request [OPTION…] -- FRAME [JSON]

    --boot=MS --deadline=MS    how long connecting is tried again; how long all of it may take
    --env=NAME=VALUE --cwd=PATH --user=USER --timeout=SECONDS --tty=COLUMNSxROWS
    --mode=MODE
    --failing                  the source fails where standard input ends
    --step=STEP                what is done while a program runs, one after the other, in place of
                               standard input: await=HEX (this output has come), stdin=HEX, eof,
                               resize=COLUMNSxROWS, signal=NUMBER, leave

It prints one line of JSON: stdout and stderr in hex (stdout is what came of a file, too), and
where they are known code, signal, status (or status_text, where the language has no JSON). A
request that failed has "failure": busy, refused, file, lost, protocol, deadline, io, left; and
its "text".
"""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile

HERE = pathlib.Path(__file__).resolve().parent

# How long anything may take before a test gives it up, in seconds.
TIMEOUT = 120


def call(argv, folder, **env):
    """Runs a compiler or the like; what it said is the failure."""
    if not shutil.which(argv[0]):
        raise FileNotFoundError(f"no {argv[0]}: ./bootstrap long installs it")
    done = subprocess.run(argv, cwd=folder, env=os.environ | env, timeout=900, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, f"{' '.join(argv)}:\n{done.stdout}"
    return done.stdout


def build_go(folder, out):
    env = {"GOCACHE": f"{out}/cache", "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
    assert call(["gofmt", "-l", "."], folder) == "", "gofmt would write it otherwise"
    call(["go", "vet", "./..."], folder, **env)
    for program in ("drive", "first"):
        call(["go", "build", "-o", f"{out}/{program}", f"./{program}"], folder, **env)
    return [f"{out}/drive"], [f"{out}/first"]


# Debian's own, where another stands before them in the path.
RUST = {tool: f"/usr/bin/{tool}" for tool in ("rustc", "rustfmt", "clippy-driver")}


def build_rust(folder, out):
    edition = ["--edition=2021", "-Dwarnings", f"--out-dir={out}"]
    library = ["--crate-name=vmm_guest", "--crate-type=rlib", "guest.rs"]
    call([RUST["rustfmt"], "--edition=2021", "--check", "guest.rs", "drive.rs", "first.rs"], folder)
    call([RUST["clippy-driver"], "--sysroot=/usr", "--emit=metadata", *edition, *library], folder)
    call([RUST["rustc"], "-Copt-level=1", *edition, *library], folder)
    for program in ("drive", "first"):
        call([RUST["rustc"], "-Copt-level=1", *edition, f"--extern=vmm_guest={out}/libvmm_guest.rlib", f"{program}.rs"], folder)
    return [f"{out}/drive"], [f"{out}/first"]


def build_javascript(folder, _):
    for name in ("guest.js", "wire.js", "drive.js", "first.js"):
        call(["node", "--check", name], folder)
    return ["node", f"{folder}/drive.js"], ["node", f"{folder}/first.js"]


BUILDS = {"go": build_go, "rust": build_rust, "javascript": build_javascript}


class Port:
    """The client in one language."""

    def __init__(self, language):
        self.language = language
        self.folder = HERE / language
        self.out = tempfile.mkdtemp(prefix=f"vmm-guest-{language}-")
        self.drive, self.first = BUILDS[language](self.folder, self.out)

    def close(self):
        shutil.rmtree(self.out, ignore_errors=True)

    def begin(self, address, action, *args, options=(), stdin=subprocess.DEVNULL):
        """The program that drives it, running."""
        argv = [*self.drive, address, action, *options, "--", *args]
        return subprocess.Popen(argv, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def finish(self, process, data=None):
        """What the client returned."""
        said, words = process.communicate(data, timeout=TIMEOUT)
        assert process.returncode == 0 and not words, (process.args, said[-2000:], words.decode()[-4000:])
        outcome = json.loads(said)
        for stream in ("stdout", "stderr"):
            outcome[stream] = bytes.fromhex(outcome.get(stream, ""))
        if "status_text" in outcome:
            outcome["status"] = json.loads(outcome["status_text"])
        return outcome

    def do(self, address, action, *args, stdin=b"", options=()):
        process = self.begin(address, action, *args, options=options, stdin=subprocess.PIPE)
        return self.finish(process, stdin)
