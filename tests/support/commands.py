"""The command line as its operator uses it: with something piped in, or at a terminal."""

from __future__ import annotations

import errno
import json
import os
import pty
import select
import subprocess
import time
from typing import TYPE_CHECKING, Any

from support import served

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    Done = subprocess.CompletedProcess[bytes]

NOTHING: Mapping[str, str] = {}


def run(
    store: Path, *words: str | Path, stdin: bytes = b"", env: Mapping[str, str] = NOTHING
) -> Done:
    """Run one command on a store, in an environment without this machine's settings."""
    return subprocess.run(  # noqa: S603 - our own command
        [served.COMMAND, *words, "--component-dir", store],
        env={**served.environment(), **env},
        input=stdin,
        capture_output=True,
        timeout=served.LOAD_S,
        check=False,
    )


def answered(
    store: Path, *words: str | Path, stdin: bytes = b"", env: Mapping[str, str] = NOTHING
) -> Any:
    """What a command printed that had nothing to complain of."""
    done = run(store, *words, stdin=stdin, env=env)
    assert (done.returncode, done.stderr.decode()) == (0, "")
    return json.loads(done.stdout)


def refused(done: Done, *said: str, status: int = 1, printed: bool = False) -> None:
    """A failure as a person wants it: one line that says what is wrong."""
    text = done.stderr.decode()
    assert done.returncode == status, text
    assert text.startswith("wassette-supervisor: ")
    assert text.count("\n") == 1, text
    assert text.endswith("\n")
    assert "Traceback" not in text
    assert "internal error" not in text
    for words in said:
        assert words in text
    assert (done.stdout != b"") == printed


def at_terminal(
    store: Path, *words: str | Path, typed: Sequence[tuple[bytes, Callable[[], bytes] | bytes]] = ()
) -> tuple[bytes, int]:
    """What a person sees, and the exit status.

    `typed` is what the person waits for, and then types; or does, and then types what comes back.
    """
    ours, theirs = pty.openpty()
    try:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [served.COMMAND, *words, "--component-dir", store],
            env=served.environment() | {"NO_COLOR": "1", "TERM": "xterm"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,  # or the test run's own terminal would be asked
        )
        os.close(theirs)
        with process:
            seen = b""
            for awaited, answer in typed:
                seen += _read_until(ours, awaited)
                os.write(ours, answer if isinstance(answer, bytes) else answer())
            seen += _read_until(ours, None)
        return seen, process.returncode
    finally:
        os.close(ours)


def _read_until(terminal: int, awaited: bytes | None) -> bytes:
    """All until these words, or until nobody has the other end any more."""
    seen = b""
    ends = time.monotonic() + served.ANSWER_S
    while awaited is None or awaited not in seen:
        ready, _, _ = select.select([terminal], [], [], ends - time.monotonic())
        assert ready, f"not seen in {seen!r}: {awaited!r}"
        try:
            seen += os.read(terminal, 1 << 16)
        except OSError as error:
            if error.errno != errno.EIO:  # how Linux says so
                raise
            assert awaited is None, f"not seen in {seen!r}: {awaited!r}"
            break
    return seen
