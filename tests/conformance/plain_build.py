# SPDX-License-Identifier: MIT
"""Some cases can't say anything of a build with sanitizers, which have memory and calls
of their own, and end a program that lacks them. They bear the mark plain_build, are not
selected there, and not counted as run."""

import agent


def leave_out(config, items, binary=None):
    """For a conftest's pytest_collection_modifyitems()."""
    marked = [item for item in items if item.get_closest_marker("plain_build")]
    if marked and agent.is_sanitized(binary):
        config.hook.pytest_deselected(items=marked)
        items[:] = [item for item in items if item not in marked]
