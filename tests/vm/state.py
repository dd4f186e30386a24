# SPDX-License-Identifier: MIT
"""What the tests ask a guest about itself."""

import json
import re
import time


def status(guest):
    return json.loads(guest.output("vmm-guest-ctl status --json"))


def processes(guest):
    """Every process of the guest but kernel threads: pid to (parent, state, command line)."""
    found = {}
    for line in guest.output("ps -o pid,ppid,stat,args").splitlines()[1:]:
        pid, parent, kind, title = re.match(r" *(\d+) +(\d+) +(\w)\S* +(?:< +|N +)*(.*)", line).groups()
        if int(pid) != 2 and int(parent) != 2:
            found[int(pid)] = (int(parent), kind, title.strip())
    return found


def workers(guest, supervisor=1):
    """The workers: pid to title, as "worker 3: idle"."""
    return {
        pid: re.search(r"worker \d+.*", title).group()
        for pid, (parent, state, title) in processes(guest).items()
        if parent == supervisor and state != "Z" and re.search(r"worker \d+", title)
    }


def mounts(guest):
    """(target, type, options) of each mount, in order."""
    lines = guest.output("cat /proc/mounts").splitlines()
    return [(t, kind, set(o.split(","))) for _, t, kind, o, *_ in map(str.split, lines)]


def wait_until(true, seconds=180):
    """Polls TRUE, a function, and returns the first of its values that holds."""
    deadline = time.monotonic() + seconds
    while not (value := true()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)
    return value
