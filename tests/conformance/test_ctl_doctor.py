# SPDX-License-Identifier: MIT
"""vmm-guest-ctl doctor: what it says of a real agent, of old, odd and hostile guests, and of a
kernel's configuration on the host."""

import gzip
import json
import os
import re
import subprocess

import codec
from client import Ctl, FakeAgent
from test_ctl_hostile import EVIL, is_harmless

CHECKS = {
    "agent", "workers", "quiesce", "kernel", "vsock", "cgroups", "clock", "host's clock", "entropy",
    "freezing", "memory", "/dev/shm", "disk", "inodes", "processes", "open files", "terminals",
    "/etc/hosts", "resolv.conf", "kernel option",
}

CONFIG = "CONFIG_X86=y\n# CONFIG_MEMCG is not set\nCONFIG_VSOCKETS=m\n"


def findings(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def doctor(script, *args):
    with FakeAgent(script) as fake:
        return Ctl(fake.path).run("doctor", *args)


def guest(files, status=None):
    """A script that has FILES: what READ of a path gives; and no others."""
    def script(peer):
        frame = peer.recv()
        if frame.type == codec.STATUS_REQ:
            if status is not None:
                peer.send(codec.STATUS, json.dumps(status).encode())
            peer.exit(0 if status is not None else -1)
            return
        path = frame.json()["path"]
        if frame.type != codec.FILE_READ_REQ or path not in files:
            peer.send(codec.FILE_ERR, b"ENOENT: " + path.encode())
            return
        peer.send(codec.FILE_DATA, files[path])
        peer.send(codec.FILE_DONE)
    return script


def test_each_check_is_made_of_a_real_agent_and_says_what_to_do(agent):
    done = Ctl(agent.path).run("doctor", "--json")
    found = findings(done)
    assert {one["check"] for one in found} == CHECKS
    assert done.code == int(any(one["verdict"] == "wrong" for one in found))
    by_check = {one["check"]: one for one in found}
    for check in ("agent", "workers", "quiesce", "kernel", "clock", "processes", "memory"):
        assert by_check[check]["verdict"] != "unknown", by_check[check]
    assert by_check["agent"]["verdict"] == "ok" and by_check["clock"]["verdict"] == "ok"
    assert re.search(r"^vmm-guest-agent \S+, up \d+ (ms|s)$", by_check["agent"]["seen"]), by_check["agent"]
    for one in found:
        assert one["seen"]
        assert bool(one["to_do"]) or one["verdict"] in ("ok", "unknown")


def test_quiet_leaves_out_what_is_well_and_a_person_gets_lines(agent):
    ctl = Ctl(agent.path)
    lines = ctl.run("doctor").stdout.decode().splitlines()
    assert {line.split()[0] for line in lines[:-2]} <= {"ok", "odd", "wrong", "unknown"}
    assert " wrong, " in lines[-1]
    quiet = ctl.run("doctor", "-q").stdout.decode().splitlines()
    assert not [line for line in quiet if line.startswith("ok ")]
    assert len(quiet) == len([line for line in lines[:-2] if not line.startswith("ok ")])


def test_it_asks_for_status_and_files_and_runs_nothing():
    asked = set()

    def script(peer):
        frame = peer.recv()
        asked.add(frame.type)
        if frame.type == codec.STATUS_REQ:
            peer.exit(-1)
        else:
            peer.refuse(frame)
    doctor(script)
    assert asked == {codec.STATUS_REQ, codec.FILE_READ_REQ, codec.FILE_LIST_REQ}


def test_an_agent_that_knows_none_of_it_is_unknown_and_not_wrong():
    def closing(peer):
        peer.recv()
    for script in (lambda peer: peer.refuse(peer.recv()), closing, guest({})):
        done = doctor(script, "--json")
        verdicts = {one["check"]: one["verdict"] for one in findings(done)}
        assert done.code == (1 if "wrong" in verdicts.values() else 0)
        assert verdicts["agent"] == "odd" and verdicts["memory"] == verdicts["disk"] == "unknown"
        assert verdicts["kernel option"] == "unknown"


def test_no_agent_is_an_error():
    done = Ctl("/nonexistent").run("doctor")
    assert done.code == 1 and not done.stdout and "can't reach" in done.text


def test_all_its_questions_together_have_a_minute(tmp_path):
    """Seen by what it waits for the answers; that none outlasts the whole is a unit's to see."""
    with FakeAgent(lambda peer: peer.refuse(peer.recv())) as fake:
        ctl = Ctl(fake.path)
        trace = ["strace", "-qq", "-o", tmp_path / "trace", "-e", "trace=poll", *ctl.argv("doctor")]
        subprocess.run(trace, env=ctl.env, stdout=subprocess.DEVNULL, timeout=120, check=False)
    waits = [int(ms) for ms in re.findall(r"^poll\(.*, \d+, (-?\d+)\)", (tmp_path / "trace").read_text(), re.MULTILINE)]
    assert min(waits) >= 0 and 30000 < max(waits) <= 60000, waits


def test_a_clock_that_is_off_is_wrong_and_ends_with_1():
    done = doctor(guest({"/proc/stat": b"btime 1000\n", "/proc/uptime": b"5.00 1.00\n"}), "--json")
    clock = [one for one in findings(done) if one["check"] == "clock"][0]
    assert done.code == 1 and clock["verdict"] == "wrong" and "behind" in clock["seen"]
    assert clock["to_do"] == "vmm-guest-ctl clock-sync"


def test_the_guests_kernel_options_are_those_of_proc_or_of_boot():
    packed = gzip.compress(CONFIG.encode())
    plain = guest({"/proc/sys/kernel/osrelease": b"6.1.0\n", "/boot/config-6.1.0": CONFIG.encode(),
                   "/proc/modules": b"vsock 1 0 - Live 0x0\n"})
    for script, module in ((guest({"/proc/config.gz": packed}), True), (plain, False)):
        done = doctor(script, "--json")
        seen = [one["seen"] for one in findings(done) if one["check"] == "kernel option"]
        assert done.code == 1       # CONFIG_VIRTIO_VSOCKETS
        assert [text for text in seen if text.startswith("CONFIG_MEMCG is not set")]
        assert bool([text for text in seen if text.startswith("CONFIG_VSOCKETS is a module")]) == module


def test_what_is_no_configuration_is_unknown():
    bomb = gzip.compress(b"CONFIG_X=y\n" * 1000000)
    for data, why in ((b"\x1f\x8b junk", "gzip can't unpack it"), (bomb, "too long"), (gzip.compress(b"x"), "no option")):
        done = doctor(guest({"/proc/config.gz": data}), "--json")
        [option] = [one for one in findings(done) if one["check"] == "kernel option"]
        assert option["verdict"] == "unknown" and why in option["seen"]


def test_no_byte_of_the_guests_reaches_the_terminal_as_it_came():
    evil = EVIL.encode()
    mounts = b"/dev/x " + evil.replace(b"\n", b"") + b" " + evil.replace(b"\n", b"") + b" rw 0 0\n"
    status = {"version": EVIL, "quiesce": {"number": 1, "phase": EVIL, "hold_left_ms": 0}}
    files = {
        "/proc/sys/kernel/osrelease": b"6.1" + evil, "/proc/self/mounts": mounts,
        "/proc/sys/kernel/random/entropy_avail": b"256", "/sys/class/misc/hw_random/rng_current": evil,
        "/proc/sys/kernel/hostname": evil, "/etc/hosts": b"127.0.0.1 localhost\n",
    }
    done = doctor(guest(files, status))
    assert b"forged" not in [line.split(b" ")[0] for line in done.stdout.splitlines()]
    assert is_harmless(done.stdout) and is_harmless(done.stderr)
    assert len(done.stdout.splitlines()) == len(CHECKS) + 2


def test_a_file_without_an_end_is_looked_at_as_far_as_need_be():
    def script(peer):
        frame = peer.recv()
        if frame.type == codec.STATUS_REQ:
            peer.exit(-1)
        elif frame.type != codec.FILE_READ_REQ:
            peer.refuse(frame)
        elif frame.json()["path"] in ("/etc/hosts", "/proc/config.gz"):
            while True:     # until the client leaves
                peer.send(codec.FILE_DATA, b"127.0.0.1 localhost\n" * 3000)
        else:
            peer.send(codec.FILE_DATA, b"box\n")
            peer.send(codec.FILE_DONE)
    verdicts = {one["check"]: one for one in findings(doctor(script, "--json"))}
    assert "'box'" in verdicts["/etc/hosts"]["seen"]
    assert "too long" in verdicts["kernel option"]["seen"]


def test_a_kernels_configuration_on_the_host_is_judged_without_a_guest(tmp_path):
    ctl = Ctl("/nonexistent")
    plain = tmp_path / ".config"
    plain.write_text(CONFIG)
    packed = tmp_path / "config.gz"
    packed.write_bytes(gzip.compress(CONFIG.encode()))
    done = ctl.run("doctor", "--kernel-config", str(plain))
    assert done.code == 1 and b"CONFIG_MEMCG is not set" in done.stdout
    assert ctl.run("doctor", "-q", "--kernel-config", str(packed)).stdout in done.stdout
    plain.write_text("root:x:0:0\n")
    refused = ctl.run("doctor", "--kernel-config", str(plain))
    assert refused.code == 1 and "is not a kernel's configuration" in refused.text
    missing = ctl.run("doctor", "--kernel-config", str(tmp_path / "none"))
    assert missing.code == 1 and "No such file" in missing.text


def test_a_configuration_with_all_options_has_nothing_wrong(tmp_path):
    ctl = Ctl("/nonexistent")
    config = tmp_path / ".config"
    config.write_text("CONFIG_ARM64=y\nCONFIG_X86=y\n")
    wanted = set()
    for one in findings(ctl.run("doctor", "--json", "--kernel-config", str(config))):
        if one["verdict"] != "ok":
            wanted.add(one["seen"].split()[0])
    assert {"CONFIG_VSOCKETS", "CONFIG_VIRTIO_VSOCKETS", "CONFIG_CGROUPS", "CONFIG_DEVTMPFS"} <= wanted
    config.write_text("CONFIG_ARM64=y\nCONFIG_X86=y\n" + "".join(f"{name}=y\n" for name in wanted))
    done = ctl.run("doctor", "--json", "--kernel-config", str(config))
    assert done.code == 0 and [one["verdict"] for one in findings(done)] == ["ok"]


def test_a_host_without_gzip_is_told(tmp_path):
    packed = tmp_path / "config.gz"
    packed.write_bytes(gzip.compress(CONFIG.encode()))
    ctl = Ctl("/nonexistent", env={"PATH": str(tmp_path)})
    done = ctl.run("doctor", "--kernel-config", str(packed))
    assert done.code == 1 and "no gzip" in done.text
    assert not os.path.exists(tmp_path / "gzip")
