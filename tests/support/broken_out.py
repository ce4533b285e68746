"""A zygote whose workers are broken out of: code of ours runs in place of the guest.

The rest is the product's: how they are started, who they become, what they hold, each step of
their lock-down, and that the component was instantiated after it. The deed that a worker tries
stands in the arguments of its call.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from support.deeds import files, network, others, powers, programs, resources
from support.deeds.catalogue import answer, asked, attempt
from wassette_protocol import frames
from wassette_protocol.frames import Usage
from wassette_worker import worker, zygote
from wassette_worker.children import leave

if TYPE_CHECKING:
    from wassette_worker.guest import Guest, Running

ALL = (files, network, others, powers, programs, resources)  # imported, so that they are noted
TESTS = Path(__file__).parents[1]
_HEAD = f"import sys; sys.path.insert(0, {str(TESTS)!r}); from support import broken_out; "


def program(folder: Path) -> str:
    """A program for `Zygote`."""
    path = folder / "broken_out_zygote.py"
    path.write_text(f"{_HEAD}broken_out.be_zygote()\n")
    return str(path)


def be_zygote() -> None:
    replace_the_guest()
    os.execve = _execve  # type: ignore[assignment] # of fresh interpreters, called with these
    with contextlib.suppress(ConnectionError):
        zygote.main()


def be_fresh_worker() -> None:
    from wassette_worker import fresh  # noqa: PLC0415 - it looks at its arguments

    replace_the_guest()
    try:
        fresh.main()
    finally:
        leave()


def replace_the_guest() -> None:
    worker._serve = _serve


def _serve(
    running: Running,  # noqa: ARG001 - as replaced
    guest: Guest,  # noqa: ARG001 - as replaced
    run: frames.Run,
    instantiate_us: int,  # noqa: ARG001 - as replaced
) -> frames.Frame:
    return frames.Returned(answer(attempt(*asked(run.arguments))), failed=False, usage=Usage())


_system_execve = os.execve


def _execve(path: str, arguments: list[str], environment: dict[str, str]) -> None:
    """Have a fresh interpreter run this in place of its own program, which it then does."""
    interpreter, isolated, _, _, place = arguments
    code = f"{_HEAD}broken_out.be_fresh_worker()"
    _system_execve(path, [interpreter, isolated, "-c", code, place], environment)
