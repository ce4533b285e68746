"""What every run of the tests needs, whoever starts it and however it ends."""

from __future__ import annotations

import faulthandler
import signal

# From the last test on: threads and what is registered for the exit have that long.
_EXIT_SECONDS = 60


def pytest_configure() -> None:
    # A shell starts what it runs in the background with this ignored, and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_unconfigure() -> None:
    """Fail with the stack of each thread, rather than wait for one that was left for ever."""
    faulthandler.dump_traceback_later(_EXIT_SECONDS, exit=True)
