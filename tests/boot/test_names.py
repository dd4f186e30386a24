# SPDX-License-Identifier: MIT
"""Host name, name servers and addresses of a guest."""

import os

import pytest

IP = "ip=10.0.2.15::10.0.2.2:255.255.255.0:clone-7:eth0:off"
ADDRESS = "10.0.2.15::10.0.2.2:255.255.255.0"
READ = "cat /etc/resolv.conf"
SERVER = "nameserver 10.0.2.2\n"


def test_loopback_is_up(root):
    done = root.boot("loopback", then="ip addr show lo")
    assert "inet 127.0.0.1/8" in done.stdout and "LOOPBACK,UP" in done.stdout


CARD = "ip link add eth0 type veth; ip link set veth0 up"
SHOW = "ip -4 addr show; ip route show"


@pytest.mark.parametrize("value", [f"ip={ADDRESS}", f"ip={ADDRESS}::eth0:off"])
def test_a_card_without_an_address_gets_that_of_ip(root, value):
    done = root.boot(then=f"{CARD}; /bin/driver {value} address address -- /bin/sh -c '{SHOW}'")
    assert done.stderr == ""
    assert done.stdout.count("inet 10.0.2.15/24 brd 10.0.2.255") == 1
    assert "default via 10.0.2.2 dev eth0" in done.stdout


def test_a_card_that_the_kernel_gave_its_address_is_left_alone(root):
    script = f"{CARD}; ip addr add 10.0.2.16/24 dev eth0; ip link set eth0 up"
    done = root.boot(then=f"{script}; /bin/driver {IP} address -- /bin/sh -c '{SHOW}'")
    assert done.stderr == ""
    assert "inet 10.0.2.16/24" in done.stdout
    assert "10.0.2.15" not in done.stdout and "default" not in done.stdout


@pytest.mark.parametrize("value", ["ip=dhcp", "ip=10.0.2.15", f"ip={ADDRESS}::eth7:off", "ip="])
def test_an_ip_without_addresses_or_a_card_changes_nothing(root, value):
    done = root.boot(then=f"{CARD}; /bin/driver {value} address -- /bin/sh -c '{SHOW}'")
    assert done.stderr == "" and "inet" not in done.stdout


@pytest.mark.parametrize(
    ("steps", "name"),
    [
        ([IP, "hostname=operators"], "operators"),
        ([IP, "hostname="], "clone-7"),
        (["ip=::::clone-8", "hostname="], "clone-8"),
        ([f"ip={ADDRESS}", "hostname="], "from-etc"),
        (["hostname="], "from-etc"),
    ],
)
def test_hostname_is_the_operators_else_of_ip_else_of_etc(root, steps, name):
    root.put("/etc/hostname", "# a comment\n\n  from-etc  \nsecond\n")
    done = root.boot(*steps, then="hostname")
    assert (done.stdout.strip(), done.stderr) == (name, "")


def test_hostname_is_left_alone_where_nobody_says_one(root):
    name = root.boot(then="hostname").stdout
    for content in (None, "", "# only a comment\n"):
        if content is not None:
            root.put("/etc/hostname", content)
        done = root.boot("hostname=", then="hostname")
        assert (done.stdout, done.stderr) == (name, "")


HOSTS = "# Written by vmm-guest-agent.\n127.0.0.1\tlocalhost\n::1\tlocalhost\n"


@pytest.mark.parametrize("there", [None, "", HOSTS + "127.0.1.1\tan-older-name\n"])
def test_hosts_is_made_where_it_is_missing_or_empty_or_ours(root, there):
    if there is not None:
        root.put("/etc/hosts", there)
    done = root.boot("mounts", "hostname=box", "hosts", then="cat /etc/hosts")
    assert (done.stdout, done.stderr) == (HOSTS + "127.0.1.1\tbox\n", "")


@pytest.mark.parametrize("name", ["a b", "localhost", "(none)"])
def test_hosts_has_no_name_that_is_none(root, name):
    done = root.boot("mounts", f"hostname={name}", "hosts", then="cat /etc/hosts")
    assert (done.stdout, done.stderr) == (HOSTS, "")


@pytest.mark.parametrize("there", ["10.0.0.1 mine\n", "# only a comment\n", "\n"])
def test_hosts_that_has_content_is_left_alone(root, there):
    root.put("/etc/hosts", there)
    done = root.boot("mounts", "hostname=box", "hosts", then="cat /etc/hosts")
    assert (done.stdout, done.stderr) == (there, "")


def test_a_hostname_that_is_too_long_is_told(root):
    done = root.boot("hostname=" + "x" * 65, then="hostname")
    assert "can't set the hostname" in done.stderr


def test_resolv_conf_is_made_with_etc(root):
    done = root.boot(IP, "dns=", then=READ)
    assert (done.stdout, done.stderr) == (SERVER, "")


def test_resolv_conf_is_left_alone_without_ip(root):
    root.put("/etc/resolv.conf", "old\n")
    done = root.boot("dns=", then=READ)
    assert (done.stdout, done.stderr) == ("old\n", "")


def test_a_wrong_ip_is_told_in_one_line_and_resolv_conf_left_alone(root):
    root.put("/etc/resolv.conf", "old\n")
    done = root.boot("ip=10.0.2.15::gw:255.255.255.0", "dns=", then=READ)
    assert done.stdout == "old\n"
    assert done.stderr.count("\n") == 1 and "the gateway 'gw' is not a dotted quad" in done.stderr


@pytest.fixture
def read_only(root):
    """A root that is read-only but for what is mounted on it."""

    def start(content=None, link=None):
        for path in ("/proc", "/sys", "/run", "/tmp", "/etc"):
            root.at(path).mkdir(exist_ok=True)
        if content is not None:
            root.put("/etc/resolv.conf", content)
        if link is not None:
            os.symlink(link, root.at("/etc/resolv.conf"))
        root.make_read_only()
        return root

    return start


def test_on_a_read_only_root_a_file_of_run_is_bound_over_it(read_only):
    root = read_only("old\n")
    done = root.boot("mounts", IP, "dns=", then=f"{READ}; cat /proc/mounts")
    assert done.stderr == ""
    assert done.stdout.startswith(SERVER)
    assert done.stdout.count(" /etc/resolv.conf tmpfs ") == 1
    assert root.at("/etc/resolv.conf").read_text() == "old\n"


def test_what_is_bound_is_rewritten_in_place(read_only):
    """Longer, then shorter: an end of the longer one must not be left."""
    long = "ip=10.0.2.15::10.0.2.2:255.255.255.0::::10.0.2.133:10.0.2.134"
    script = f"{READ}; stat -c %i /etc/resolv.conf; cat /proc/mounts"
    first = read_only("old\n").boot("mounts", IP, "dns=", long, "dns=", IP, "dns=", then=script)
    assert first.stderr == ""
    assert first.stdout.startswith(SERVER) and "10.0.2.13" not in first.stdout
    assert first.stdout.count(" /etc/resolv.conf tmpfs ") == 1


def test_on_a_read_only_root_a_link_into_run_is_enough(read_only):
    root = read_only(link="../run/systemd/resolve/stub-resolv.conf")
    done = root.boot("mounts", IP, "dns=", then=f"{READ}; cat /proc/mounts")
    assert (done.stdout.startswith(SERVER), done.stderr) == (True, "")
    assert "/etc/resolv.conf" not in done.stdout


def test_no_resolv_conf_on_a_read_only_root_is_a_line_in_the_log(read_only):
    done = read_only().boot("mounts", IP, "dns=")
    assert done.stderr.count("\n") == 1 and "the root is read-only" in done.stderr


def test_a_file_that_something_is_mounted_on_is_written_in_place(root):
    root.put("/etc/resolv.conf", "old and much longer than what comes after it\n")
    root.put("/other", "of the other\n")
    script = "/bin/busybox mount -o bind /other /etc/resolv.conf && /bin/driver " \
        f"{IP} dns= -- /bin/cat /etc/resolv.conf"  # fmt: skip
    assert root.boot("mounts", then=script).stdout == SERVER
    assert root.at("/other").read_text() == SERVER
