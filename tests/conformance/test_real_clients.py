# SPDX-License-Identifier: MIT
"""ssh, sftp, rsync and git as they are, with the client as their way into the guest. No
server of theirs listens anywhere: sshd serves one stream."""

import os
import pwd
import re
import shlex
import shutil
import socket
import subprocess
import threading

import pytest

from client import Ctl

SSHD = "/usr/sbin/sshd"
SFTP_SERVER = "/usr/lib/openssh/sftp-server"
DATA = os.urandom(300000)

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not os.path.exists(SSHD), reason="takes root, and openssh-server, rsync and git (./bootstrap tools)")


def run(argv, env, **more):
    done = subprocess.run(argv, env=env, timeout=120, capture_output=True, check=False, **more)
    assert done.returncode == 0, (argv, done)
    return done.stdout


def make_key(path):
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], os.environ)


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """A folder with the keys of both sides, and what sshd is to do."""
    folder = tmp_path_factory.mktemp("ssh")
    make_key(folder / "host")
    make_key(folder / "user")
    shutil.copy(folder / "user.pub", folder / "authorized")
    (folder / "known").write_text("guest " + (folder / "host.pub").read_text())
    (folder / "sshd_config").write_text(
        f"HostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized\nStrictModes no\nUsePAM no\n"
        f"PidFile none\nPermitRootLogin prohibit-password\nSubsystem sftp {SFTP_SERVER}\n")
    return folder


def sshd_on_a_stream(keys):
    """What a guest runs for one connection."""
    return f"mkdir -p /run/sshd && exec {SSHD} -i -e -f {keys}/sshd_config"


class Inetd:
    """A Unix socket of the guest, behind which is an sshd for each connection."""

    def __init__(self, path, command):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.bind(str(path))
        self.sock.listen()
        self.command, self.children = command, []
        threading.Thread(target=self._loop, daemon=True).start()

    def _loop(self):
        while True:
            try:
                conn, _ = self.sock.accept()
            except OSError:
                return
            with conn:
                self.children.append(subprocess.Popen(
                    ["sh", "-c", self.command], stdin=conn, stdout=conn, stderr=subprocess.DEVNULL))

    def close(self):
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()
        for child in self.children:
            child.wait(60)


@pytest.fixture(params=["exec", "forward"])
def ssh(agent, keys, tmp_path, request):
    """(argv of ssh, environment): by a program on the session's streams, and by a Unix socket."""
    ctl = Ctl(agent.path)
    if request.param == "exec":
        proxy = ctl.argv("exec", "-i", "--", "sh", "-c", sshd_on_a_stream(keys))
    else:
        inetd = Inetd(tmp_path / "sshd", sshd_on_a_stream(keys))
        proxy = ctl.argv("forward", "--stdio", str(tmp_path / "sshd"))
    config = keys / f"config-{request.param}"
    config.write_text(
        f"Host guest\nUser {pwd.getpwuid(0).pw_name}\nIdentityFile {keys}/user\nIdentitiesOnly yes\nBatchMode yes\n"
        f"UserKnownHostsFile {keys}/known\nProxyCommand {shlex.join(proxy)}\n")
    yield ["ssh", "-F", str(config)], ctl.env
    if request.param == "forward":
        inetd.close()


def test_ssh_logs_in_carries_both_ways_and_has_the_exit_status(ssh):
    argv, env = ssh
    assert run([*argv, "guest", "cat; exit 0"], env, input=DATA) == DATA
    assert subprocess.run([*argv, "guest", "exit 42"], env=env, timeout=120, check=False).returncode == 42


def test_sftp_puts_and_gets(ssh, tmp_path):
    argv, env = ssh
    (tmp_path / "a").write_bytes(DATA)
    run(["sftp", "-q", *argv[1:], "-b", "-", "guest"], env,
        input=f"put {tmp_path}/a {tmp_path}/b\nget {tmp_path}/b {tmp_path}/c\n".encode())
    assert (tmp_path / "b").read_bytes() == DATA == (tmp_path / "c").read_bytes()


def make_tree(path):
    (path / "deep").mkdir(parents=True)
    (path / "deep" / "file").write_bytes(DATA)
    (path / "link").symlink_to("deep/file")


def test_rsync_and_git_by_ssh(ssh, tmp_path):
    argv, env = ssh
    make_tree(tmp_path / "here")
    run(["rsync", "-a", "-e", shlex.join(argv), f"{tmp_path}/here/", f"guest:{tmp_path}/there/"], env)
    assert (tmp_path / "there" / "link").read_bytes() == DATA
    clone_by(["git"], f"guest:{tmp_path}/origin", dict(env, GIT_SSH_COMMAND=shlex.join(argv)), tmp_path)


def clone_by(git, url, env, tmp_path):
    """A repository cloned from URL, which is tmp_path/origin, and a commit pushed back."""
    env = dict(env, GIT_CONFIG_GLOBAL="/dev/null", GIT_AUTHOR_NAME="a", GIT_AUTHOR_EMAIL="a@b",
               GIT_COMMITTER_NAME="a", GIT_COMMITTER_EMAIL="a@b")
    run(["git", "init", "-q", "--bare", "-b", "main", str(tmp_path / "origin")], env)
    run([*git, "clone", "-q", url, str(tmp_path / "clone")], env)
    run(["git", "-C", str(tmp_path / "clone"), "commit", "-q", "--allow-empty", "-m", "one"], env)
    run([*git, "-C", str(tmp_path / "clone"), "push", "-q", "origin", "HEAD:main"], env)
    assert b"one" in run(["git", "-C", str(tmp_path / "origin"), "log", "--format=%s", "main"], env)


# ---- without sshd -------------------------------------------------------------------


def test_rsync_has_the_client_as_its_shell(agent, tmp_path):
    """rsync puts a machine's name in front of what it runs; env(1) takes that for a variable."""
    ctl = Ctl(agent.path)
    make_tree(tmp_path / "here")
    shell = shlex.join(ctl.argv("exec", "-i", "env"))
    run(["rsync", "-a", "-e", shell, f"{tmp_path}/here/", f"vm=:{tmp_path}/there/"], ctl.env)
    run(["rsync", "-a", "-e", shell, f"vm=:{tmp_path}/there/", f"{tmp_path}/back/"], ctl.env)
    assert (tmp_path / "back" / "link").read_bytes() == DATA
    assert os.readlink(tmp_path / "back" / "link") == "deep/file"


def sftp_server(command, script):
    """What sftp is given to run COMMAND: that of OpenSSH 8 takes no arguments, but a SCRIPT."""
    version = subprocess.run(["ssh", "-V"], stderr=subprocess.PIPE, text=True, check=True).stderr
    if int(re.match(r"OpenSSH_(\d+)", version)[1]) >= 9:
        return command
    script.write_text(f"#!/bin/sh\nexec {command}\n")
    script.chmod(0o755)
    return str(script)


def test_sftp_has_a_server_that_the_client_runs(agent, tmp_path):
    ctl = Ctl(agent.path)
    (tmp_path / "a").write_bytes(DATA)
    server = sftp_server(shlex.join(ctl.argv("exec", "-i", "--", SFTP_SERVER)), tmp_path / "server")
    run(["sftp", "-q", "-b", "-", "-D", server], ctl.env,
        input=f"put {tmp_path}/a {tmp_path}/b\n".encode())
    assert (tmp_path / "b").read_bytes() == DATA


def test_git_clones_and_pushes_by_a_program_that_the_client_runs(agent, tmp_path):
    ctl = Ctl(agent.path)
    url = "ext::" + shlex.join(ctl.argv("exec", "-i", "--")) + f" git-%s {tmp_path}/origin"
    clone_by(["git", "-c", "protocol.ext.allow=always"], url, ctl.env, tmp_path)
