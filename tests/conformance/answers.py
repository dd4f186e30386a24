# SPDX-License-Identifier: MIT
"""What answers of the agent's own must look like."""

import codec


def refused(result, code=125):
    """A refused START: words on STDERR, then EXIT with CODE. Returns the words."""
    assert result.code == code and result.signal == 0, result
    assert len(result.stderr) > 5, "a refusal without words: %r" % result
    return result.text


def control_failed(result):
    """EXIT -1 of 8 bytes and no other frame: all that H1 and H2 understand."""
    assert [f.type for f in result.frames] == [codec.EXIT], result
    assert codec.exit_status(result.frames[0].payload) == (-1, 0), result


def environment(agent, **members):
    """The environment of a session with these members of START, as a dict."""
    result = agent.run(["/usr/bin/env", "-0"], **members)
    assert result.code == 0, result
    return dict(v.split("=", 1) for v in result.stdout.decode().split("\0") if v)
