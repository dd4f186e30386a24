# SPDX-License-Identifier: MIT
"""What an author copies: files that are read at a sitting, and stand on the standard library."""

import json
import re
import subprocess

import pytest

import ports
from conftest import LANGUAGES

# What is copied; the rest of a folder drives it.
ENDINGS = {"go": "*.go", "rust": "*.rs", "javascript": "*.js"}
DRIVERS = {"drive.rs", "first.rs", "drive.js", "first.js"}
COMMENT = re.compile(r"\s*(//|/\*|\*)")

# Lines that are neither empty nor a comment.
MOST = 200

# Prints the exports of guest.js, with the methods and what an instance has of the classes.
SHOW = """
import * as guest from './guest.js';
const members = (it) => Object.getOwnPropertyNames(it.prototype ?? {});
const shown = Object.fromEntries(Object.entries(guest).map(([name, it]) => [name, members(it)]));
console.log(JSON.stringify(shown));
"""


def files(port):
    return sorted(path for path in port.folder.glob(ENDINGS[port.language]) if path.name not in DRIVERS)


def code(path):
    return [line for line in path.read_text().splitlines() if line.strip() and not COMMENT.match(line)]


def test_each_file_is_read_at_a_sitting(port):
    lengths = {path.name: len(code(path)) for path in files(port)}
    assert lengths and max(lengths.values()) <= MOST, lengths


def test_it_stands_on_the_standard_library_alone(port):
    """Of Go and Rust the build shows it: nothing is there to be fetched, and no registry is asked."""
    if port.language == "go":
        assert "require" not in (port.folder / "go.mod").read_text()
    for path in files(port):
        text = path.read_text()
        assert "extern crate" not in text
        for source in re.findall(r"^(?:im|ex)port\b.*?from '(.*?)'", text, re.MULTILINE):
            assert source.startswith(("node:", "./")), (path.name, source)


def declared(text):
    """The exports of guest.d.ts that are there at run time: classes with their methods, and constants."""
    found = {name: [] for name in re.findall(r"^export const (\w+)", text, re.MULTILINE)}
    for name, body in re.findall(r"^export class (\w+).*?\{\n(.*?)^\}", text, re.MULTILINE | re.DOTALL):
        found[name] = re.findall(r"^  (\w+)\(", body, re.MULTILINE)
    return found


@pytest.mark.parametrize("language", {"javascript"}.intersection(LANGUAGES))
def test_the_types_are_those_of_what_there_is(language):
    folder = ports.HERE / language
    said = subprocess.run(["node", "--input-type=module", "-e", SHOW], cwd=folder, timeout=ports.TIMEOUT, check=True,
                          capture_output=True, text=True).stdout
    types = declared((folder / "guest.d.ts").read_text())
    shown = json.loads(said)
    assert set(types) == set(shown)
    for name, methods in types.items():
        assert set(methods) - {"constructor"} == set(shown[name]) - {"constructor"}, name
