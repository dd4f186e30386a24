# SPDX-License-Identifier: MIT
"""The initramfs and the disk of a guest that is a Debian (tests/vm/debian), whose init
runs the agent: systemd as `make install` has it, others by their files of src/packaging.

    initrd, devices = debian_guest.write(folder, build)
    start_hosted("", initrd=initrd, devices=devices)
"""

import os
import pathlib
import shutil
import subprocess

import initramfs
from guest import kernel_folder

HERE = pathlib.Path(__file__).resolve().parent
UNITS = "/etc/systemd/system"

# What is installed for other inits: the files of a build, or of the source.
SERVICES = {
    "systemd": {},
    "openrc": {"/etc/init.d/vmm-guest-agent": "openrc/vmm-guest-agent"},
    "runit": {
        "/etc/sv/vmm-guest-agent/run": "runit/run",
        "/etc/sv/vmm-guest-agent/log/run": "runit/log/run",
    },
}


def disk(init):
    """The options of QEMU's for a disk that forgets what is written to it."""
    found = subprocess.run([HERE / "debian", "path", init], capture_output=True, text=True, check=False)
    if found.returncode:
        raise RuntimeError(found.stderr.strip())
    return (
        "-drive", f"if=none,id=root,format=raw,snapshot=on,file={found.stdout.strip()}/root.ext4",
        "-device", "virtio-blk-pci,drive=root",
    )  # fmt: skip


def install(build, folder):
    """What `make install` of BUILD puts into a root; returns that folder."""
    root = pathlib.Path(folder, "installed")
    subprocess.run(
        ["make", "-s", "-C", build, "install", f"DESTDIR={root}"],
        stdout=subprocess.DEVNULL, check=True, env=os.environ | {"MAKEFLAGS": ""},
    )  # fmt: skip
    return root


def add_tree(archive, folder, top):
    """All files below FOLDER, as below TOP."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            archive.copy(path, f"{top}/{path.relative_to(folder)}", path.stat().st_mode & 0o777)


def add_services(archive, build, init):
    for path, name in SERVICES[init].items():
        places = [top / "src/packaging" / name for top in (build, HERE.parent.parent)]
        archive.copy(next(place for place in places if place.exists()), f"/payload{path}", 0o755)


def write(folder, build, init="systemd"):
    """Writes the initramfs into FOLDER: returns its path and the options of the disk."""
    archive = initramfs.Archive()
    initramfs.add_busybox(archive)
    initramfs.add_modules(archive, kernel_folder() / "modules", ["virtio_blk", *initramfs.MODULES])
    archive.copy(HERE / "debian_guest/init", "/init")
    archive.device("/dev/null", 1, 3)
    add_tree(archive, install(build, folder), "/payload")
    add_services(archive, build, init)
    archive.copy(HERE / "debian_guest/driver.service", f"/payload{UNITS}/driver.service", 0o644)
    archive.copy(HERE / "guest/driver", "/payload/driver")
    archive.copy(shutil.which("busybox"), "/payload/usr/bin/busybox")
    archive.write(pathlib.Path(folder, "initrd"))
    return pathlib.Path(folder, "initrd"), disk(init)
