"""The benchmark, over AF_VSOCK: that it measures, not how fast a software CPU is."""

import json


def test_bench_measures_over_vsock(boot):
    with boot("vmm_agent.workers=64 vmm_agent.peer=any vmm_agent.log=error", memory_mib=512) as guest:
        guest.wait_ready()
        measured = guest.output("bench --address=vsock:1 --quick --json --only=sessions", seconds=100)
    ratios = {row["name"]: row.get("ratio", 0) for row in json.loads(measured)}
    assert ratios["exec of /bin/true, connect to EXIT, p50"] > 0
    assert ratios["clock sync round trip, 62 of 64 workers busy"] > 0
