"""Compiled code on the disk, and beside each the digest that it must have.

The digest names whose code it is: that of another component, or of another engine, is damage too,
and not run.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from wassette_protocol.frames import Digest
from wassette_supervisor.store import files
from wassette_supervisor.store.trouble import DamagedError

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX: Final = ".cwasm"
_KEPT: Final = re.compile(rb"([0-9a-f]{64}) ([0-9]{1,15}) ([^ \n]{1,255})\n")


def beside(artefact: Path) -> Path:
    """Where its digest is kept."""
    return artefact.with_name(f"{artefact.name}.sha256")


def kept(artefact: Path, digest: Digest, size: int) -> bytes:
    """What its digest's file holds."""
    return f"{digest} {size} {artefact.name}\n".encode()


def verified(artefact: Path) -> int:
    """A sealed memfd with it; the caller closes it.

    Raises:
        DamagedError: It is not what was kept.
    """
    written = _KEPT.fullmatch(files.read_bounded(beside(artefact), 400))
    if written is None:
        raise DamagedError("its digest is damaged")
    if written[3] != artefact.name.encode():
        raise DamagedError("it was compiled of another component, or for another engine")
    return files.sealed_copy(artefact, written[1].decode(), int(written[2]))


def is_good(artefact: Path) -> bool:
    try:
        os.close(verified(artefact))
    except DamagedError:
        return False
    return True


def damaged(folder: Path, digest: str = "") -> dict[Path, str]:
    """All in a folder that can't be used, and why; with a digest, those compiled of these bytes."""
    found = {}
    for path in files.entries(folder):
        if path.suffix == SUFFIX and path.name.startswith(digest):
            try:
                os.close(verified(path))
            except FileNotFoundError:
                found[path] = "its digest is missing"
            except (OSError, DamagedError) as error:
                found[path] = files.why(error)
    return found
