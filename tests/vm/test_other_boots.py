# SPDX-License-Identifier: MIT
"""Boots of their own: other command lines, other hands on the transport."""

import sessions
import state

PEER = "vmm_agent.peer=any"
FULL = "10.0.2.15::10.0.2.2:255.255.255.0:clone-7:eth0:off"


def test_guests_own_programs_are_refused_unless_the_operator_says_otherwise(boot):
    with boot("vmm_agent.workers=3") as guest:
        guest.wait_console(r"ready: 3 workers")
        for command in ("exec -- true", "exec -u guest -- true", "status", "cp vm:/etc/passwd -"):
            result = guest.run(f"vmm-guest-ctl {command}")
            assert result.status != 0
            assert "root:x" not in result.output
        assert guest.run("vsock-raw 1 52 </dev/null").output == ""


def test_workers_default_to_one_for_8_mib_of_memory_and_the_reserved(boot):
    with boot(PEER) as guest:
        guest.wait_ready()
        kib = int(guest.output("sed -n 's/MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo"))
        assert 16 < kib // 8192 < 64
        assert state.status(guest)["workers"]["configured"] - 2 in (kib // 8192, kib // 8192 + 1)


def test_agent_waits_for_a_transport_that_comes_late(boot):
    with boot(f"{PEER} test_modules=late") as guest:
        assert guest.output("lsmod | grep -c vsock || true") == "0"
        guest.wait_console(r"can.t listen yet")
        guest.wait_ready()
        assert guest.output("vmm-guest-ctl exec -- echo served") == "served"


def test_port_that_somebody_holds_is_taken_once_it_is_free(boot):
    with boot(f"{PEER} test_listen=52") as guest:
        guest.wait_console("can't listen yet: Address already in use")
        assert guest.run("vsock-raw 1 53 </dev/null").status != 0, "both ports, or none"
        guest.output("echo bye | vsock-raw 1 52 >/dev/null & until grep -q bye /told; do sleep 0.1; done; kill $!")
        guest.wait_ready()
        assert guest.output("vmm-guest-ctl exec -- echo served") == "served"
        assert guest.console().count("can't listen") == 1


def test_host_that_listens_as_systemds_do_is_told_ready(boot):
    with boot(f"{PEER} test_listen=5151 vmm_agent.notify=vsock:1:5151") as guest:
        guest.wait_ready()
        state.wait_until(lambda: guest.output("cat /told") == "READY=1")


def test_where_v1_has_the_controllers_sessions_are_killed_whole_and_not_limited(boot):
    with boot(f"{PEER} test_cgroups=v1") as guest:
        guest.wait_ready()
        assert "boot:" not in guest.console()
        assert sessions.start(guest, "cat /proc/self/cgroup").out.count("0::/sessions/") == 1
        end = sessions.start(guest, "setsid sleep 4741 & sleep 60", timeout_seconds=1, report=True)
        assert (end.code, end.exited["reason"]) == (137, "timeout")
        assert not sessions.is_running(guest, "sleep 4741")
        mounted = guest.output("cat /proc/mounts")
        limits = {"memory": "memory_bytes", "pids": "pids", "cpu": "cpu_percent"}
        # Newer kernels have memory in version 2 alone.
        there = [limits[name] for name in limits if f" /sys/fs/cgroup/{name} " in mounted]
        assert set(there) >= {"pids", "cpu_percent"}
        for limit in there:
            end = sessions.start(guest, "true", limits={limit: 50})
            assert end.code == 125 and limit in end.err


def test_name_server_is_the_gateway_where_ip_names_none(boot):
    with boot(f"{PEER} ip={FULL}") as guest:
        guest.wait_ready()
        assert "nameserver 10.0.2.2" in guest.output("cat /etc/resolv.conf").splitlines()


def test_garbage_on_the_command_line_is_logged_and_does_not_stop_the_boot(boot):
    garbage = (
        "vmm_agent.workers=lots vmm_agent.nonsense=1 vmm_agent. vmm_agent.listen=carrier:pigeon "
        'ip=banana::: "a b" --frobnicate =x vmm_agent.log=loud single'
    )
    with boot(f"{PEER} {garbage}") as guest:
        guest.wait_ready()
        assert guest.output("vmm-guest-ctl exec -- echo served") == "served"
        for word in ("workers", "nonsense", "listen"):
            guest.wait_console(word)
        assert guest.run("cat /etc/resolv.conf").status != 0


def test_agent_goes_on_where_a_workload_has_unmounted_proc(boot):
    with boot(f"{PEER} vmm_agent.on_exit=reboot") as guest:
        guest.wait_ready()
        assert sessions.start(guest, "umount -l /proc; ls /proc").out == ""
        end = sessions.start(guest, "setsid sleep 4742 & sleep 60", timeout_seconds=1, report=True)
        assert (end.code, end.exited["reason"]) == (137, "timeout")
        assert sessions.start(guest, "id -u", user="guest").out == "1000\n"
        guest.output("vmm-guest-ctl exec -- httpd -p 127.0.0.1:8080; vmm-guest-ctl wait-port 8080 --timeout 5")
        assert guest.run("vmm-guest-ctl wait-port 8081 --timeout 1").status == 1
        guest.output("echo kept >/file; vmm-guest-ctl cp vm:/file vm:/other 2>/dev/null || vmm-guest-ctl cp vm:/file -")
        guest.output("(trap '' TERM; while :; do sleep 1; done) >/dev/null 2>&1 &")
        guest.send("kill -TERM 1")
        guest.wait_end(60)
        assert "reboot: Restarting system" in guest.console()


# A user's processes open seven terminals of $1 each, then one each, until there are no more.
TAKE = """exec 2>/dev/null
tried() {
	echo x >>$tries
	trap - EXIT
}
give_back() {
	exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
	tried
}
tries=$(mktemp)
for i in $(seq 300); do
	(trap give_back EXIT; exec 3<>$1 4<>$1 5<>$1 6<>$1 7<>$1 8<>$1 9<>$1; tried; exec sleep 4713) &
done
until [ $(wc -l <$tries) = 300 ]; do sleep 0.5; done
for i in $(seq 10); do (trap give_back EXIT; exec 3<>$1; tried; exec sleep 4713) & done
until [ $(wc -l <$tries) = 310 ]; do sleep 0.5; done
if (exec 3<>$1); then echo some are left; else echo all are taken; fi
wait"""
TAKE_OWN = "mount -t devpts -o newinstance,ptmxmode=0666 none /mnt && exec sh /take /mnt/ptmx"


def take_terminals(guest, name, command):
    guest.output(f"vmm-guest-ctl exec -u guest -- {command} >/{name} 2>&1 &")
    state.wait_until(lambda: guest.output(f"cat /{name}"), 120)
    assert guest.output(f"cat /{name}") == "all are taken"
    return int(guest.output("cat /proc/sys/kernel/pty/nr"))


def test_a_user_who_takes_all_terminals_leaves_some_to_the_host(boot):
    """At first those of a name space of his own."""
    with boot(PEER, memory_mib=512) as guest:
        guest.wait_ready()
        guest.output(f"mkdir -p /mnt; cat >/take <<'EOF'\n{TAKE}\nEOF")
        own = take_terminals(guest, "own", f"unshare -U -r -m sh -c '{TAKE_OWN}'")
        assert own == 4096 - int(guest.output("cat /proc/sys/kernel/pty/reserve")) - 1
        assert take_terminals(guest, "all", "sh /take /dev/ptmx") == own + 2048
        for user in ("root", "guest"):
            assert guest.output(f"vmm-guest-ctl exec -u {user} -t -- tty").strip() == "/dev/pts-host/0"


def test_where_the_kernel_promises_no_memory_the_guest_boots_without_durable_sessions(boot):
    with boot(f"{PEER} sysctl.vm.overcommit_memory=2 sysctl.vm.overcommit_ratio=80") as guest:
        guest.wait_ready()
        assert guest.output("cat /proc/sys/vm/overcommit_memory") == "2"
        assert guest.console().count("no durable sessions: vm.overcommit_memory is 2") == 1
        assert guest.output("vmm-guest-ctl exec -- echo served") == "served"
