# SPDX-License-Identifier: MIT
"""The commands that README.md shows: each block with the words that stand over it.

    blocks()                      all of them, in order
    text("Firecracker", "json")   those of a language under these words, as one
    client_lines("Snapshots")     what the client is told there, a line each
"""

import collections
import pathlib
import re

README = pathlib.Path(__file__).resolve().parent.parent.parent / "README.md"

Block = collections.namedtuple("Block", "name language text")


def blocks():
    """NAME is the heading, or the bold words that begin a paragraph under it, whichever is
    nearer."""
    found, name = [], ""
    for part in re.split(r"^(```\w*\n.*?^```)$", README.read_text(), flags=re.MULTILINE | re.DOTALL):
        if fenced := re.match(r"```(\w*)\n(.*)```", part, re.DOTALL):
            found.append(Block(name, fenced[1], fenced[2]))
            continue
        for heading, bold in re.findall(r"^(?:##+ (.*)|\*\*(.+?)\*\*.*)$", part, re.MULTILINE):
            name = heading or bold
    return found


def text(name, language=""):
    found = [block.text for block in blocks() if (block.name, block.language) == (name, language)]
    assert found, f"README.md shows nothing ({language}) under {name!r}"
    return "".join(found)


def client_lines(name, language=""):
    lines = text(name, language).replace("\\\n", "").splitlines()
    return [line for line in lines if line.startswith("vmm-guest-ctl ")]
