# SPDX-License-Identifier: MIT
"""The file system of a test guest, as the cpio archive that the kernel unpacks.

It writes the archive itself, so that nothing needs root. It knows what a guest
consists of, but not how one is started: that is guest.py.
"""

import os
import pathlib
import re
import shutil
import stat
import subprocess

HERE = pathlib.Path(__file__).resolve().parent

# What the guests load, and all that these need. Loopback lets a client inside
# the guest reach the agent at CID 1; the virtio transport is for a host's.
MODULES = (
    "vsock_loopback",
    "vmw_vsock_virtio_transport",
    "virtio_pci",
    "virtio_mmio",
    "virtio_net",
)

PASSWD = """\
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/:/bin/false
guest:x:1000:1000:a user:/home/guest:/bin/sh
"""

GROUP = """\
root:x:0:
daemon:x:1:
tty:x:5:
team:x:200:guest
guest:x:1000:
"""


class Archive:
    """A cpio archive of the "newc" kind; see the kernel's
    Documentation/driver-api/early-userspace/buffer-format.rst."""

    def __init__(self):
        self._parts = []
        self._names = set()

    def _add(self, name, mode, data=b"", uid=0, device=(0, 0)):
        self._names.add(name)
        encoded = name.encode() + b"\0"
        fields = (len(self._names), mode, uid, uid, 1, 0, len(data), 0, 0, *device, len(encoded), 0)
        header = b"070701" + b"".join(b"%08x" % field for field in fields) + encoded
        self._parts += [header, b"\0" * (-len(header) % 4), data, b"\0" * (-len(data) % 4)]

    def directory(self, path, mode=0o755, uid=0):
        name = path.strip("/")
        if not name or name in self._names:
            return
        self.directory(os.path.dirname(name))
        self._add(name, stat.S_IFDIR | mode, uid=uid)

    def file(self, path, data, mode=0o644):
        self.directory(os.path.dirname(path.strip("/")))
        if path.strip("/") not in self._names:
            self._add(path.strip("/"), stat.S_IFREG | mode, data)

    def link(self, path, target):
        self.directory(os.path.dirname(path.strip("/")))
        self._add(path.strip("/"), stat.S_IFLNK | 0o777, target.encode())

    def device(self, path, major, minor):
        self.directory(os.path.dirname(path.strip("/")))
        self._add(path.strip("/"), stat.S_IFCHR | 0o666, device=(major, minor))

    def copy(self, source, path, mode=0o755):
        self.file(path, pathlib.Path(source).read_bytes(), mode)

    def program(self, source, path):
        """A program, and the shared libraries that it asks for."""
        self.copy(source, path)
        for library in shared_libraries(source):
            self.copy(library, library)

    def write(self, path):
        self._add("TRAILER!!!", 0)
        pathlib.Path(path).write_bytes(b"".join(self._parts))


def shared_libraries(program):
    """Absolute paths of what the dynamic linker would load for PROGRAM."""
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
    if "not found" in listed.stdout:
        raise RuntimeError(f"{program} lacks a library:\n{listed.stdout}")
    return re.findall(r"(?:^|=>)\s*(/\S+) \(0x", listed.stdout, re.MULTILINE)


def built_in(folder):
    listed = folder.parent / "modules.builtin"
    lines = listed.read_text().splitlines() if listed.exists() else []
    return {pathlib.Path(line).stem.replace("-", "_") for line in lines}


def modules_in_order(folder, names):
    """Paths of the modules NAMES and of all that they need, needed ones first, but for those
    that the kernel has built in; a module says in its own .modinfo what it depends on."""
    paths = {path.stem.replace("-", "_"): path for path in folder.rglob("*.ko")}
    builtin = built_in(folder)
    ordered = []

    def visit(name):
        if name in builtin or paths[name] in ordered:
            return
        depends = re.search(rb"\0depends=([^\0]*)\0", paths[name].read_bytes())
        for needed in filter(None, depends.group(1).decode().split(",")):
            visit(needed.replace("-", "_"))
        ordered.append(paths[name])

    for name in names:
        visit(name)
    return ordered


def add_modules(archive, folder, names):
    ordered = modules_in_order(folder, names)
    for module in ordered:
        archive.copy(module, f"/lib/modules/{module.name}", 0o644)
    archive.file("/lib/modules/order", "".join(f"{m.name}\n" for m in ordered).encode())


def add_busybox(archive):
    busybox = shutil.which("busybox")
    if not busybox or shared_libraries(busybox):
        raise RuntimeError("a static busybox is needed: install busybox-static")
    archive.copy(busybox, "/bin/busybox")
    applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True)
    for applet in applets.stdout.split():
        if applet != "busybox":
            archive.link(f"/bin/{applet}", "busybox")


def write_guest(path, build, kernel, modules=()):
    """Writes the usual guest: the agent and its client as BUILD has them, the
    programs of these tests where they were built, busybox, MODULES besides the
    usual ones, two users."""
    archive = Archive()
    archive.program(build / "vmm-guest-agent", "/sbin/vmm-guest-agent")
    archive.program(build / "vmm-guest-ctl", "/bin/vmm-guest-ctl")
    for program in ("vsock_raw", "orphans", "delegate", "kill_ringer", "kill_when", "ptp_clock", "writer", "looker"):
        if (build / "tests/vm" / program).exists():
            archive.program(build / "tests/vm" / program, "/bin/" + program.replace("_", "-"))
    if (build / "tests/bench/bench").exists():
        archive.program(build / "tests/bench/bench", "/bin/bench")
    add_busybox(archive)
    add_modules(archive, kernel / "modules", [*MODULES, *modules])
    archive.copy(HERE / "guest/init", "/init")
    archive.copy(HERE / "guest/driver", "/driver")
    archive.file("/etc/passwd", PASSWD.encode())
    archive.file("/etc/group", GROUP.encode())
    archive.file("/etc/hostname", b"from-etc\n")
    # The shell opens it for what it runs in the background.
    archive.device("/dev/null", 1, 3)
    archive.directory("/root", 0o700)
    archive.directory("/home/guest", 0o755, uid=1000)
    archive.directory("/tmp", 0o1777)
    archive.write(path)
