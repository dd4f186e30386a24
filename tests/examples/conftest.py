# SPDX-License-Identifier: MIT
"""The languages that the run was asked for; each is built once."""

import os

import pytest

import ports

LANGUAGES = os.environ.get("VMM_GUEST_EXAMPLES", "").split()


@pytest.fixture(scope="session", params=LANGUAGES)
def port(request):
    port = ports.Port(request.param)
    yield port
    port.close()
