"""Runs a command as some container runtimes do: a filter is in force, and somebody listens to it.

`python tests/support/held_listener.py COMMAND …`

The filter lets everything through. But a process has one listener at most, and this one is held
here, so that nothing below can have its own.
"""

from __future__ import annotations

import os
import subprocess
import sys

from wassette_worker.sandbox import seccomp
from wassette_worker.sandbox.identity import forbid_new_privileges


def main() -> int:
    forbid_new_privileges()
    listener = seccomp.listen_only()
    try:
        return subprocess.run(sys.argv[1:], check=False).returncode  # noqa: S603 - as told
    finally:
        os.close(listener)


if __name__ == "__main__":
    sys.exit(main())
