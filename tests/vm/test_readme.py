# SPDX-License-Identifier: MIT
"""README.md: what it shows is done as it stands there, by a guest that its recipes made;
and what it says of guests that do not work is what these show."""

import json
import os
import pathlib
import re
import shutil
import socket
import subprocess

import initramfs
import pytest
import readme_blocks
from disks import MODULES, Image
from guest import BOOT_SECONDS, kernel_folder

HERE = pathlib.Path(__file__).resolve().parent
SOCKETS = ("unix:/run/vm/1.vsock", "unix:/run/vm/2.vsock", "vsock:3")  # the readme's guests
CARD = ("-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net")

# Which blocks are run, and by whom. What is not in here has been added since.
RUN_HERE = {
    "A root out of a container image", "An initramfs that holds nothing else", "Firecracker",
    "Cloud Hypervisor", "QEMU", "Snapshots",
}  # fmt: skip
RUN_ELSEWHERE = {
    "": "test_demo.py, and whoever runs these tests",
    "As a service": "test_systemd.py, whose guest is made without mounting; and tests/packages",
    "For those who build hosts": "code, not commands: tests/library, test_example_python.py, tests/readme",
    "ssh, VS Code, rsync, git.": "tests/conformance/test_real_clients.py",
}
NOT_COMMANDS = {"The processes"}


def work_in(folder, build):
    """FOLDER, with the static agent; and the environment of who works there, with what
    stands in for programs that are not here."""
    shutil.copy(build / "tests/vm/static_agent", folder / "vmm-guest-agent")
    path = f"{HERE}/readme_stand_ins:{build}:/usr/sbin:/sbin:{os.environ['PATH']}"
    return os.environ | {"PATH": path}


def do(script, folder, environment):
    done = subprocess.run(
        ["sh", "-euc", script], cwd=folder, env=environment, text=True, check=False, timeout=120,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, f"{script}\n{done.stdout}"
    return done.stdout


def loader(path, name, script, modules=()):
    """Writes an initramfs whose program NAME loads the modules which the readme wants to be
    built in, and then does SCRIPT."""
    archive = initramfs.Archive()
    initramfs.add_busybox(archive)
    initramfs.add_modules(archive, kernel_folder() / "modules", [*initramfs.MODULES, *modules])
    text = f'#!/bin/sh\nwhile read -r module; do insmod "/lib/modules/$module"; done </lib/modules/order\n{script}'
    archive.file(name, text.encode(), 0o755)
    archive.write(path)
    return path


def wait_up(hosted):
    assert hosted.ctl("wait", "--timeout", "55").returncode == 0, hosted.guest.report()


@pytest.fixture(scope="module")
def firecracker():
    return json.loads(readme_blocks.text("Firecracker", "json"))


@pytest.fixture(scope="module")
def hosted(hosting, firecracker, pytestconfig, tmp_path_factory):
    """A guest whose root the first recipe made, with the arguments that Firecracker gets."""
    folder = tmp_path_factory.mktemp("recipe")
    environment = work_in(folder, pytestconfig.build)
    do(readme_blocks.text("A root out of a container image", "sh"), folder, environment)
    drive = firecracker["drives"][0]["path_on_host"]
    arguments = firecracker["boot-source"]["boot_args"]
    init = next(word for word in arguments.split() if word.startswith("init=")).removeprefix("init=")
    script = f"mkdir /new\nmount -t devtmpfs none /dev\nmount -t ext4 /dev/vda /new\nexec switch_root /new {init}\n"
    initrd = loader(folder / "initrd", "/init", script, MODULES)
    disk = ("-drive", f"if=none,id=root,format=raw,file={folder / drive}", "-device", "virtio-blk-pci,drive=root")
    options = {"initrd": initrd, "devices": (*disk, *CARD), "driver": False}
    with hosting(arguments, **options) as started:
        wait_up(started)
        started.folder, started.environment = folder, environment
        yield started


def do_client_lines(hosted, name):
    """Has the client do all that is shown under NAME, but for the end; what it said."""
    said = []
    for line in readme_blocks.client_lines(name):
        if line.endswith(" shutdown"):
            continue
        for address in SOCKETS:
            line = line.replace(address, f"unix:{hosted.host.path}")
        said.append(do(line, hosted.folder, hosted.environment))
    return said


def test_every_block_of_commands_is_run_or_said_not_to_be():
    names = {block.name for block in readme_blocks.blocks()}
    assert names == RUN_HERE | RUN_ELSEWHERE.keys() | NOT_COMMANDS


def test_root_out_of_a_container_image_boots_by_firecrackers_arguments(hosted):
    _, name = do_client_lines(hosted, "Firecracker")
    assert name.startswith("Linux ")
    assert hosted.ctl("cat", "vm:/etc/resolv.conf").stdout == "nameserver 172.16.0.1\n"


def test_client_does_what_is_shown_for_the_other_vmms(hosted):
    (hosted.folder / "data").write_text("content")
    do_client_lines(hosted, "Cloud Hypervisor")
    do_client_lines(hosted, "QEMU")
    assert hosted.ctl("cat", "vm:/root/input").stdout == "content"


def test_guest_is_quiesced_and_restored_as_is_shown(hosted):
    snapshot = hosted.folder / "take-snapshot"
    snapshot.write_text("#!/bin/sh\nvmm-guest-ctl status --json >status\n")
    snapshot.chmod(0o755)
    hosted.environment["VMM_GUEST_ADDR"] = f"unix:{hosted.host.path}"
    do_client_lines(hosted, "Snapshots")
    assert json.loads((hosted.folder / "status").read_text())["quiesce"]
    assert "quiesce" not in hosted.status()
    assert hosted.ctl("exec", "--", "hostname").stdout == "web-2\n"


def test_initramfs_that_holds_nothing_else_boots(start_hosted, pytestconfig, tmp_path):
    environment = work_in(tmp_path, pytestconfig.build)
    do(readme_blocks.text("An initramfs that holds nothing else", "sh"), tmp_path, environment)
    made = (tmp_path / "initramfs.gz").read_bytes()
    modules = loader(tmp_path / "modules", "/loader", "rm -rf /bin /lib /loader\nexec /init\n")
    (tmp_path / "initrd").write_bytes(made + b"\0" * (-len(made) % 4) + modules.read_bytes())
    hosted = start_hosted("rdinit=/loader", initrd=tmp_path / "initrd", driver=False)
    wait_up(hosted)
    assert hosted.ctl("exec", "--", "/init", "--version").stdout.startswith("vmm-guest-agent")


# ---- when it does not work -------------------------------------------------------------


# What these tests do not make, and why.
NOT_SEEN_HERE = {
    "failed (error -2)": "of init=, as a kernel says that has the disk's driver built in; ours have not",
}


def test_each_symptom_of_the_table_is_made_by_a_test():
    table = readme_blocks.README.read_text().partition("| what is seen |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)
    seen = [re.findall(r"`([^`]+)`", row) for row in rows]
    assert [row for row, words in zip(rows, seen, strict=True) if not words] == ["names are not resolved in the guest"]
    tests = pathlib.Path(__file__).read_text().partition("def said_to_be_seen")[2]
    missing = {word for words in seen for word in words if f'"{word}"' not in tests}
    assert missing == set(NOT_SEEN_HERE)


def said_to_be_seen(*words):
    """The words, of which the readme says that they are seen."""
    for word in words:
        assert f"`{word}`" in readme_blocks.README.read_text()
    return words


def boot_alone(boot, path, agent, libraries=()):
    """A guest that holds AGENT as its /init, the LIBRARIES and no module."""
    archive = initramfs.Archive()
    archive.copy(agent, "/init")
    for library in libraries:
        archive.copy(library, library)
    archive.write(path)
    return boot("", initrd=path, driver=False)


def test_agent_without_a_library_panics_as_is_said(boot, pytestconfig, tmp_path):
    agent = pytestconfig.build / "vmm-guest-agent"
    panic, code = said_to_be_seen("Kernel panic", "exitcode=0x00007f00")
    libraries = [path for path in initramfs.shared_libraries(agent) if "json" not in path]
    with boot_alone(boot, tmp_path / "initrd", agent, libraries) as guest:
        guest.wait_console(f"{panic}.*{code}")
        assert "libjson-c" in guest.console()


def test_agent_without_its_dynamic_linker_panics_as_is_said(boot, pytestconfig, tmp_path):
    panic, failed = said_to_be_seen("Kernel panic", "Failed to execute /init (error -2)")
    with boot_alone(boot, tmp_path / "initrd", pytestconfig.build / "vmm-guest-agent") as guest:
        guest.wait_console(panic)
        assert failed in guest.console()


def test_kernel_without_vsock_is_told_as_is_said(boot, pytestconfig, tmp_path):
    (words,) = said_to_be_seen("can't listen yet: Address family not supported by protocol")
    with boot_alone(boot, tmp_path / "initrd", pytestconfig.build / "tests/vm/static_agent") as guest:
        guest.wait_console(words)


def test_client_that_reaches_no_vm_says_what_is_said(pytestconfig, tmp_path):
    missing, refused = said_to_be_seen("No such file or directory", "Connection refused")
    with socket.socket(socket.AF_UNIX) as nobody:
        nobody.bind(str(tmp_path / "nobody"))
        for name, words in (("missing", missing), ("nobody", refused)):
            command = [pytestconfig.build / "vmm-guest-ctl", "-a", f"unix:{tmp_path / name}", "status"]
            assert words in subprocess.run(command, capture_output=True, text=True, check=False).stderr


def test_root_that_is_not_there_panics_as_is_said(boot, tmp_path):
    """What mends it is in the first recipe's guest, above: the drivers in an initramfs."""
    panic, unable = said_to_be_seen("Kernel panic", "Unable to mount root fs")
    archive = initramfs.Archive()
    archive.file("/nothing", b"")
    archive.write(tmp_path / "initrd")
    with boot("root=/dev/vda", initrd=tmp_path / "initrd", driver=False) as guest:
        guest.wait_console(f"{panic}.*{unable}")


# Each line that comes has it go one step further.
STEPS = """#!/bin/sh
mount -t devtmpfs none /dev
exec </dev/ttyS1
echo "nothing is there"
read -r line
insmod /lib/modules/vsock.ko && vmm-guest-ctl -a vsock:77 status
while read -r module <&3; do insmod "/lib/modules/$module" 2>/dev/null; done 3</lib/modules/order
echo "vsock is there"
read -r line
exec /agent
"""


@pytest.fixture(scope="module")
def late(hosting, pytestconfig, tmp_path_factory):
    """A guest whose agent came late, and what the client said before that: late.early. It has its
    name server by the readme's advice, is a host of VMs too, and holds the client."""
    (advice,) = said_to_be_seen("vmm_agent.dns=9.9.9.9")
    archive = initramfs.Archive()
    initramfs.add_busybox(archive)
    initramfs.add_modules(archive, kernel_folder() / "modules", [*initramfs.MODULES, "vhost_vsock"])
    archive.copy(pytestconfig.build / "tests/vm/static_agent", "/agent")
    archive.program(pytestconfig.build / "vmm-guest-ctl", "/bin/vmm-guest-ctl")
    archive.program(pytestconfig.build / "tests/vm/name_server", "/bin/name-server")
    archive.file("/init", STEPS.encode(), 0o755)
    initrd = tmp_path_factory.mktemp("late") / "initrd"
    archive.write(initrd)
    with hosting(advice.replace("9.9.9.9", "127.0.0.1"), initrd=initrd, driver=False) as started:
        started.guest.wait_console("nothing is there", BOOT_SECONDS)
        started.early = started.ctl("status").stderr
        started.guest.send("")
        started.guest.wait_console("vsock is there")
        started.early += started.ctl("status").stderr
        started.waiter = started.begin(*said_to_be_seen("vmm-guest-ctl wait --timeout 60")[0].split()[1:])
        started.guest.send("")
        with started.waiter:
            started.waiter.wait(70)
        yield started


def test_vm_in_which_nobody_serves_is_told_and_waited_for_as_is_said(late):
    (words,) = said_to_be_seen("nobody answers")
    assert late.early.count(words) == late.early.count("\n") == 2
    assert late.waiter.returncode == 0, late.guest.report()


def test_vm_that_takes_a_connection_and_is_paused_is_told_as_is_said(pytestconfig, tmp_path):
    (words,) = said_to_be_seen("no answer yet")
    (advice,) = said_to_be_seen("vmm-guest-ctl --wait 10 COMMAND")
    wait = advice.replace("10", "6").split()[1:3]
    with socket.socket(socket.AF_UNIX) as paused:
        paused.bind(str(tmp_path / "paused"))
        paused.listen()
        command = [pytestconfig.build / "vmm-guest-ctl", "-a", f"unix:{tmp_path}/paused", *wait, "status"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1 and words in done.stderr and "within 6 s" in done.stderr


def test_host_without_the_module_and_a_cid_without_a_vm_are_told_as_is_said(late):
    """First with the address family alone, then by the module that there is a host by."""
    (words,) = said_to_be_seen("No such device")
    said = f"vmm-guest-ctl: can't reach the agent at vsock:77, port 52: {words}; is a VM with this CID running?\n"
    assert said + "vsock is there" in late.guest.console()
    assert late.ctl("exec", "--", "vmm-guest-ctl", "-a", "vsock:77", "status").stderr == said


def test_names_are_resolved_by_the_server_that_the_file_shows(hosted, late):
    (show,) = said_to_be_seen("vmm-guest-ctl cat vm:/etc/resolv.conf")
    assert hosted.ctl("exec", "--timeout", "3", "--", "nslookup", "web.test").returncode != 0
    assert hosted.ctl(*show.split()[1:]).stdout == "nameserver 172.16.0.1\n", "the gateway"

    assert late.ctl(*show.split()[1:]).stdout == "nameserver 127.0.0.1\n"
    assert late.ctl("exec", "--", "name-server", "192.0.2.7").returncode == 0
    assert "192.0.2.7" in late.ctl("exec", "--", "nslookup", "web.test").stdout


def test_guest_goes_down_as_is_shown(hosted):
    """The last one of this guest."""
    ends = {readme_blocks.client_lines(name)[-1].split(" ", 3)[3] for name in ("Cloud Hypervisor", "QEMU")}
    assert ends == {"shutdown"}
    assert hosted.ctl("shutdown").returncode == 0
    hosted.guest.wait_end(120)


def test_busy_is_said_in_the_words_that_are_shown(start_hosted):
    words = said_to_be_seen("busy: … workers are in use")[0].split(" … ")
    hosted = start_hosted("vmm_agent.workers=3 vmm_agent.reserved=2")
    wait_up(hosted)
    conn = hosted.start("cat")
    conn.send(0x02, b"x")
    assert conn.read_output(b"x")
    said = hosted.ctl("exec", "--", "true").stderr
    assert all(word in said for word in words)
