# SPDX-License-Identifier: MIT
"""Guests for the tests, and what is known of one when a test fails."""

import contextlib
import os
import pathlib
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from guest import Guest  # noqa: E402
from host_vsock import HostVsock  # noqa: E402
from hosted import Hosted, Listener  # noqa: E402

IP = "ip=10.0.2.15::10.0.2.2:255.255.255.0:clone-7:eth0:off:10.0.2.3:10.0.2.4"


def pytest_configure(config):
    config.build = pathlib.Path(os.environ["VMM_GUEST_BUILD"])


@pytest.fixture(scope="session")
def boot(pytestconfig):
    """Guest(), with the programs that were just built."""

    def start(arguments="", **options):
        return Guest(pytestconfig.build, arguments, **options)

    return start


@pytest.fixture(scope="session")
def guest(boot):
    """The one guest of all tests that leave it as they found it: five workers,
    loopback allowed, a full ip=."""
    with boot(f"vmm_agent.workers=5 vmm_agent.peer=any {IP}") as started:
        started.wait_ready()
        yield started


@pytest.fixture(scope="session")
def hosting(boot, pytestconfig):
    """Hosted(), as a context, with who listens on the ports LISTEN of the host."""

    @contextlib.contextmanager
    def start(arguments="vmm_agent.workers=8", listen=(), **options):
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="vmm-host-"))
            host = HostVsock(folder)
            stack.callback(host.close)
            listeners = [Listener(host, port) for port in listen]
            hosted = Hosted(boot, pytestconfig.build, host, arguments, **options)
            stack.callback(hosted.guest.stop)
            hosted.listeners = listeners
            yield hosted

    return start


@pytest.fixture
def start_hosted(hosting):
    """The same, until the end of the test."""
    with contextlib.ExitStack() as stack:
        yield lambda *arguments, **options: stack.enter_context(hosting(*arguments, **options))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    report = (yield).get_result()
    given = getattr(item, "funcargs", {})
    hosted = given.get("hosted")
    running = given.get("guest", hosted and hosted.guest)
    if report.failed and running is not None:
        report.sections.append(("guest", running.report()))
