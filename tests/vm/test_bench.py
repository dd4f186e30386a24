# SPDX-License-Identifier: MIT
"""The benchmark, over AF_VSOCK: that it measures, not how fast a software CPU is."""

import json


def test_bench_measures_over_vsock(boot):
    with boot("vmm_agent.workers=64 vmm_agent.peer=any vmm_agent.log=error", memory_mib=512) as guest:
        guest.wait_ready()
        measured = guest.output("bench --address=vsock:1 --quick --json --only=sessions", seconds=200)
    rows = {row["name"]: row for row in json.loads(measured)}
    program = rows["exec of /bin/true, connect to EXIT, p50"]
    assert program["agent"] > 0 and program["floor"] > 0
    # Too short for the clock of this machine, which has no other than the kernel's ticks.
    assert "clock sync round trip, 62 of 64 workers busy" in rows
