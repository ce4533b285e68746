"""A zygote whose children leave something of their lock-down out, and say that they did it.

`python -m support.leaky MECHANISM[,MECHANISM…] WORD …` runs a command with it.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from wassette_supervisor.cli import main as command
from wassette_supervisor.doctor import trial

TESTS = Path(__file__).parents[1]

# Of each mechanism, the functions of the product that do nothing without it.
LEFT_OUT = {
    "Landlock": ["landlock.restrict_to", "landlock.restrict_reach"],
    "seccomp": ["seccomp.restrict"],
    "MDWE": ["lockdown.refuse_executable_memory"],
    "not dumpable": ["lockdown.forbid_dumps"],
    "namespaces": [],
    "doorbell": [],
}

_ZYGOTE = """
import contextlib
from wassette_worker import zygote
from wassette_worker.sandbox import landlock, lockdown, namespaces, seccomp

def nothing(*_):
    pass

{changes}
with contextlib.suppress(ConnectionError):
    zygote.main()
"""


def program(folder: Path, mechanisms: list[str]) -> str:
    """A program in place of the zygote's."""
    changes = [f"{name} = nothing" for one in mechanisms for name in LEFT_OUT[one]]
    if "namespaces" in mechanisms:
        changes.append("namespaces.refusal = lambda: 'left out'")
    if "doorbell" in mechanisms:  # its listener is told of nothing
        changes.append("seccomp.restrict_told = lambda _: seccomp.listen_only()")
    path = folder / "leaky_zygote.py"
    path.write_text(_ZYGOTE.format(changes="\n".join(changes)))
    return str(path)


def main() -> None:
    mechanisms = sys.argv.pop(1).split(",")
    with tempfile.TemporaryDirectory() as folder:
        vars(trial)["ZYGOTE"] = program(Path(folder), mechanisms)
        sys.exit(command())


if __name__ == "__main__":
    main()
