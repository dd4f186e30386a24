"""What the tests ask a guest about itself."""

import json
import re
import time


def status(guest):
    return json.loads(guest.output("vmm-guest-ctl status --json"))


def processes(guest):
    """Every process of the guest: pid to (parent, state, command line)."""
    script = (
        "for p in /proc/[0-9]*; do "
        'stat=$(cat $p/stat 2>/dev/null) && echo "$stat @ $(tr "\\0" " " <$p/cmdline)"; done'
    )
    found = {}
    for line in guest.output(script).splitlines():
        pid, state, parent, title = re.match(
            r"(\d+) \(.*\) (\S) (\d+) .*? @ ?(.*)", line
        ).groups()
        found[int(pid)] = (int(parent), state, title.strip())
    return found


def workers(guest):
    """The workers: pid to title, as "worker 3: idle"."""
    return {
        pid: re.search(r"worker \d+.*", title).group()
        for pid, (parent, state, title) in processes(guest).items()
        if parent == 1 and state != "Z" and re.search(r"worker \d+", title)
    }


def mounts(guest):
    """(target, type, options) of each mount, in order."""
    lines = guest.output("cat /proc/mounts").splitlines()
    return [(t, kind, set(o.split(","))) for _, t, kind, o, *_ in map(str.split, lines)]


def wait_until(true, seconds=10):
    """Polls TRUE, a function, and returns the first of its values that holds."""
    deadline = time.monotonic() + seconds
    while not (value := true()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)
    return value
