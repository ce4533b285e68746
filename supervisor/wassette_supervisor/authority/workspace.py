"""The directory that a policy's relative paths are below."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from wassette_supervisor.authority import mounts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wassette_supervisor.authority.directories import Protected


def workspace(given: Path | None, keep_out: Iterable[Protected]) -> str | None:
    """The one that was given, else the current directory where that can serve as one.

    None where it can't: it is `/`, a home directory, gone, or holds something of ours.
    """
    if given is not None:
        return os.path.realpath(given)
    try:
        current = os.path.realpath(Path.cwd(), strict=True)
    except OSError:
        return None
    homes = {os.path.realpath(home) for home in (Path("~").expanduser(), "/root", "/")}
    is_home = current in homes or os.path.dirname(current) == "/home"  # noqa: PTH120 - beside realpath
    ours = any(mounts.overlap(current, kept_out.path) for kept_out in keep_out)
    return None if is_home or ours else current
