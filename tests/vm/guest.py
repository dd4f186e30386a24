# SPDX-License-Identifier: MIT
"""A guest in QEMU: started, driven by its second serial port, and ended.

The first serial port is the guest's console and goes to a file. On the second
one listens guest/driver, which runs the scripts that a test sends. There is no
network and no vsock to the machine that runs the tests: the agent's client runs
inside the guest, over AF_VSOCK's loopback.
"""

import base64
import collections
import json
import os
import pathlib
import queue
import re
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time

import initramfs

HERE = pathlib.Path(__file__).resolve().parent
QEMU = "qemu-system-x86_64"
MACHINE = "microvm,acpi=off,isa-serial=on"
# An emulated clock may be late on a busy machine: that is no reason to panic.
KERNEL_ARGUMENTS = "console=ttyS0 quiet reboot=t panic=-1 no_timer_check"
BOOT_SECONDS = 180  # nobody waits for it in vain
KVM_SECONDS = 5
KERNEL = os.environ.get("VGA_KERNEL", "cloud")  # one of tests/vm/kernel's kinds

Result = collections.namedtuple("Result", "status output")


def kernel_folder(kind=KERNEL):
    found = subprocess.run(
        [HERE / "kernel", "path", kind], capture_output=True, text=True, check=False
    )
    if found.returncode:
        raise RuntimeError(found.stderr.strip())
    return pathlib.Path(found.stdout.strip())


def qemu_command(accel, kernel, initrd, arguments, memory_mib, extra, machine=MACHINE):
    # QEMU 7.2 now and then spoils the registers where an interrupt meets a cmpxchg16b, by which
    # newer kernels allocate.
    cpu = "host" if accel == "kvm" else "max,cx16=off"
    return [
        QEMU, "-M", machine, "-accel", accel, "-cpu", cpu,
        "-m", f"{memory_mib}M", "-nodefaults", "-no-user-config", "-display", "none",
        "-no-reboot", "-kernel", kernel / "vmlinuz", "-initrd", initrd,
        "-append", arguments, *extra,
    ]  # fmt: skip


def kvm_boots(kernel):
    """Whether KVM gets as far as the first line of an init; /dev/kvm may be
    there and refuse, or hang."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    with tempfile.TemporaryDirectory(prefix="vmm-kvm-") as folder:
        archive = initramfs.Archive()
        initramfs.add_busybox(archive)
        archive.file("/init", b"#!/bin/sh\necho kvm-boots\nreboot -f\n", 0o755)
        initrd = pathlib.Path(folder, "initrd")
        archive.write(initrd)
        command = qemu_command("kvm", kernel, initrd, KERNEL_ARGUMENTS, 128, ["-serial", "stdio"])
        try:
            tried = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=KVM_SECONDS
            )
        except subprocess.TimeoutExpired:
            return False
        return tried.returncode == 0 and b"kvm-boots" in tried.stdout


def accelerator(kernel):
    """"kvm" or "tcg"; tried once for each boot of this machine, and noted beside
    the kernel, as a trial that fails takes its whole time."""
    boot_id = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    note = kernel.parent / f"accelerator-{os.getuid()}"
    if note.exists() and note.read_text().split()[:1] == [boot_id]:
        return note.read_text().split()[1]
    accel = "kvm" if kvm_boots(kernel) else "tcg"
    note.write_text(f"{boot_id} {accel}\n")
    return accel


class Guest:
    """One boot. ARGUMENTS are added to the kernel's command line, DEVICES to
    QEMU's, as ("-netdev", "user,id=n", "-device", "virtio-net-pci,netdev=n"); PCI
    ones want MACHINE to be "q35", others an ACPI to be found by. MODULES are
    loaded besides the usual ones. INITRD is a file of the caller's own instead of
    the usual guest, and DRIVER False says that nothing in it listens. KERNEL is one
    of tests/vm/kernel's kinds. As a context it is ended with the block."""

    def __init__(
        self, build, arguments="", memory_mib=256, devices=(), machine=MACHINE, modules=(),
        initrd=None, driver=True, kernel=KERNEL,
    ):  # fmt: skip
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="vmm-guest-"))
        self._qemu = None
        self._lines = queue.Queue()
        self._sent = 0
        try:
            kernel = kernel_folder(kernel)
            self.accel = accelerator(kernel)
            if initrd is None:
                initrd = self.folder / "initrd"
                initramfs.write_guest(initrd, pathlib.Path(build), kernel, modules)
            self._start(kernel, initrd, arguments, memory_mib, devices, machine)
            if driver:
                self._expect("driver: ready", BOOT_SECONDS)
        except BaseException:
            self.stop()
            raise

    def _start(self, kernel, initrd, arguments, memory_mib, devices, machine):
        channels = [
            "-chardev", f"file,id=console,path={self.folder}/console",
            "-serial", "chardev:console",
            "-chardev", "stdio,id=driver,signal=off",
            "-device", "isa-serial,index=1,chardev=driver",
            "-chardev", f"socket,id=monitor,path={self.folder}/monitor,server=on,wait=off",
            "-mon", "chardev=monitor,mode=control",
        ]  # fmt: skip
        command = qemu_command(
            self.accel, kernel, initrd, f"{KERNEL_ARGUMENTS} {arguments}", memory_mib,
            [*channels, *devices], machine,
        )  # fmt: skip
        with open(self.folder / "qemu", "wb") as errors:
            self._qemu = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
            )
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def _read(self):
        for line in self._qemu.stdout:
            self._lines.put(line.decode(errors="replace").rstrip("\r\n"))
        self._lines.put(None)

    def _line(self, deadline):
        try:
            line = self._lines.get(timeout=max(0, deadline - time.monotonic()))
        except queue.Empty:
            raise AssertionError(f"the guest says nothing; {self.report()}") from None
        if line is None:
            self._lines.put(None)
            raise AssertionError(f"the guest has ended; {self.report()}")
        return line

    def _expect(self, text, seconds):
        deadline = time.monotonic() + seconds
        while self._line(deadline) != text:
            pass

    def send(self, script):
        """Has SCRIPT run as run() does, and waits for nothing: the guest may end by it."""
        self._sent += 1
        self._qemu.stdin.write(b"%d %s\n" % (self._sent, base64.b64encode(script.encode())))
        self._qemu.stdin.flush()

    def run(self, script, seconds=BOOT_SECONDS):
        """Runs SCRIPT with busybox's sh in the guest, outside any session. Its
        output is standard output and standard error; that of one before it, which was not
        waited for to its end, is passed over."""
        self.send(script)
        self._expect(f"driver: output {self._sent}", seconds)
        deadline, encoded = time.monotonic() + seconds, []
        while not (line := self._line(deadline)).startswith("driver: status "):
            encoded.append(line)
        output = base64.b64decode("".join(encoded)).decode(errors="surrogateescape")
        return Result(int(line.split()[2]), output)

    def output(self, script, seconds=BOOT_SECONDS):
        """The output of a SCRIPT that must succeed, without its last newline."""
        result = self.run(script, seconds)
        assert result.status == 0, f"{script!r} ended with {result.status}: {result.output}"
        return result.output.removesuffix("\n")

    def frames(self, port, *frames, seconds=BOOT_SECONDS):
        """Sends FRAMES, each a (type, payload), on a connection of its own; returns
        what comes back until the agent closes."""
        sent = b"".join(struct.pack("<BI", kind, len(data)) + data for kind, data in frames)
        text = base64.b64encode(sent).decode()
        reply = base64.b64decode(
            self.output(f"echo {text} | base64 -d | vsock-raw 1 {port} | base64", seconds)
        )
        received = []
        while reply:
            kind, length = struct.unpack_from("<BI", reply)
            received.append((kind, reply[5 : 5 + length]))
            reply = reply[5 + length :]
        return received

    def wait_ready(self, seconds=BOOT_SECONDS):
        """Until the agent answers."""
        self.output(f"vmm-guest-ctl wait --timeout {seconds}", seconds + 5)

    def console(self):
        console = self.folder / "console"
        if not console.exists():  # QEMU makes it
            return ""
        return console.read_bytes().decode(errors="replace").replace("\r", "")

    def wait_console(self, pattern, seconds=BOOT_SECONDS):
        """Until the console shows PATTERN, a regular expression; returns the match."""
        deadline = time.monotonic() + seconds
        while not (found := re.search(pattern, self.console(), re.MULTILINE)):
            assert time.monotonic() < deadline, f"no {pattern!r}; {self.report()}"
            assert self._qemu.poll() is None, f"ended without {pattern!r}; {self.report()}"
            time.sleep(0.05)
        return found

    def qmp(self, command, **arguments):
        """What QEMU's machine protocol returns for COMMAND, whose arguments have their -
        as _ (its docs/interop/qmp-spec.txt)."""
        arguments = {name.replace("_", "-"): value for name, value in arguments.items()}
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.settimeout(60)
            monitor.connect(str(self.folder / "monitor"))
            lines = monitor.makefile("rb")
            lines.readline()  # its greeting
            for name, values in (("qmp_capabilities", {}), (command, arguments)):
                monitor.sendall(json.dumps({"execute": name, "arguments": values}).encode())
                while "event" in (reply := json.loads(lines.readline())):
                    pass
        assert "error" not in reply, f"{command}: {reply}; {self.report()}"
        return reply["return"]

    def monitor(self, line):
        """What QEMU's monitor for people says to LINE."""
        return self.qmp("human-monitor-command", command_line=line)

    def wait_end(self, seconds):
        """Until QEMU has ended by itself; returns how many seconds that took."""
        started = time.monotonic()
        try:
            status = self._qemu.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"not ended after {seconds} s; {self.report()}") from None
        assert status == 0, f"QEMU ended with {status}; {self.report()}"
        return time.monotonic() - started

    def report(self):
        """The end of the console, for a person."""
        said = (self.folder / "qemu").read_text(errors="replace")
        return f"its console:\n{self.console()[-3000:]}\n{said}"

    def stop(self):
        if self._qemu is not None:
            if self._qemu.poll() is None:
                self._qemu.kill()
            self._qemu.wait()
            self._qemu.stdin.close()
        shutil.rmtree(self.folder, ignore_errors=True)
