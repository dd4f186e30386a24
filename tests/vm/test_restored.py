# SPDX-License-Identifier: MIT
"""RESTORED of a guest whose programs and file systems are frozen: what is thawed when."""

import codec
import disks
import pytest
import state

MACHINE_ID = "0123456789abcdef" * 2
DAYS_30 = 30 * 86400
# What it sees, and sees again as fast as it can.
WATCH = """
exec awk 'BEGIN { while (1) {
	getline name <"/proc/sys/kernel/hostname"; close("/proc/sys/kernel/hostname"); print name, systime(); fflush()
} }' >/run/seen
"""


@pytest.fixture
def hosted(start_hosted, tmp_path):
    """Its /etc lies on a disk, and is the agent's own as far as names go."""
    disk = disks.Disk(tmp_path, "etc")
    started = start_hosted("vmm_agent.workers=8", devices=disk.devices, modules=disks.MODULES)
    started.guest.output(
        "mkdir -p /disk && mount /dev/vda /disk && cp -a /etc/. /disk/ && umount /disk && mount /dev/vda /etc &&"
        " rm -f /etc/hosts && echo '%s' >/etc/machine-id" % ("0" * 31 + "1")
    )
    return started


def quiesce(hosted, **members):
    conn = hosted.dial()
    conn.send(codec.QUIESCE, {"hold_ms": 600000, "within_ms": 60000, **members})
    told = conn.expect(codec.STATUS).json()
    assert "error" not in told, told
    return conn, told


def restored(hosted, **members):
    conn = hosted.dial()
    conn.send(codec.RESTORED, members)
    result = conn.result()
    return result.code, result.event("restored")


def sessions_are_frozen(hosted):
    return hosted.guest.output("cat /sys/fs/cgroup/sessions/cgroup.events").split("frozen ")[1][0] == "1"


def test_file_systems_thaw_before_names_are_written_and_sessions_when_all_is_done(hosted):
    counting = hosted.start("while :; do echo x; sleep 0.05; done >/run/count")
    conn, told = quiesce(hosted, fsfreeze=["/etc"])
    assert [place["path"] for place in told["frozen"]] == ["/etc"] and sessions_are_frozen(hosted)
    code, told = restored(hosted, hostname="clone-7", machine_id=MACHINE_ID)
    assert (code, told["errors"]) == (0, [])
    assert conn.result().event("thawed")["why"] == "restored" and not sessions_are_frozen(hosted)
    assert "\tclone-7\n" in hosted.guest.output("cat /etc/hosts") + "\n"
    assert hosted.guest.output("cat /etc/machine-id").strip() == MACHINE_ID
    counting.close()


def test_what_would_stand_still_with_a_frozen_file_system_is_refused_instead(hosted):
    conn, _ = quiesce(hosted, fsfreeze=["/etc"])
    before = hosted.guest.output("hostname")
    code, told = restored(hosted, hostname="clone-7", machine_id=True, env={"A": "1"}, entropy="AAAA", thaw=False)
    assert code == -1
    assert told["errors"] == [f"{what}: EBUSY: file systems are frozen" for what in ("hostname", "machine-id")]
    assert told["env_us"] > 0 and told["entropy_us"] > 0 and told["hold_us"] > 0 and told["thaw_us"] == 0
    assert hosted.guest.output("hostname") == before and sessions_are_frozen(hosted)
    status = hosted.status()
    assert status["quiesce"]["phase"] == "held" and status["worker_deaths"]["total"] == 0
    assert restored(hosted, hostname="clone-7", machine_id=True)[0] == 0
    assert conn.result().event("thawed")["why"] == "restored"
    assert hosted.guest.output("hostname").strip() == "clone-7"


def test_hosts_of_somebody_else_is_no_reason_to_refuse_a_hostname(hosted):
    hosted.guest.output("echo '10.0.0.1 mine' >/etc/hosts")
    conn, _ = quiesce(hosted, fsfreeze=["/etc"])
    code, told = restored(hosted, hostname="clone-7", thaw=False)
    assert (code, told["errors"]) == (0, []) and hosted.guest.output("hostname").strip() == "clone-7"
    conn.send(codec.THAW)
    assert conn.result().event("thawed")["why"] == "host"


def test_no_program_sees_a_moment_of_the_old_name_or_clock(hosted):
    hosted.guest.output("hostname golden")
    start = int(hosted.guest.output("date +%s"))
    watching = hosted.start(WATCH)
    state.wait_until(lambda: "golden" in hosted.guest.output("head -n 3 /run/seen || true"))
    conn, _ = quiesce(hosted, fsfreeze=["/etc"])
    before = int(hosted.guest.output("wc -l </run/seen"))
    code, told = restored(hosted, hostname="clone-7", unix_ns=(start + DAYS_30) * 1000000000, machine_id=True)
    assert (code, told["errors"]) == (0, []) and conn.result().event("thawed")["why"] == "restored"
    state.wait_until(lambda: "clone-7" in hosted.guest.output("tail -n 3 /run/seen"))
    watching.close()
    # It may have been in the middle of one of them.
    seen = hosted.guest.output(f"tail -n +{before + 2} /run/seen | head -n 1000").splitlines()
    assert seen
    for name, time in map(str.split, seen):
        assert name == "clone-7" and int(time) >= start + DAYS_30, seen[:20]
