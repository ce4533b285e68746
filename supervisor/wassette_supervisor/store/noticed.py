"""What a server found in a directory of local components and did not load, kept for its operator.

One file for each directory, written whole by whichever server looks at it. It only informs: what
is loaded is read anew, and has to be what was noticed.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from wassette_protocol.capabilities import MIB
from wassette_protocol.frames import ComponentId, Digest
from wassette_supervisor.store import files
from wassette_supervisor.store.trouble import DamagedError, explained

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wassette_supervisor.store.store import Store

# A thousand files, with the longest of paths, escaped.
_MAX_BYTES = 16 * MIB
MAX_TOOLS = 20  # that are named of each


class Stamp(NamedTuple):
    """Another one after every change of a file that the system tells of."""

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int


class Noticed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file that is not loaded as it is."""

    source: str  # its URI
    state: Literal["waiting", "refused"]  # for a person's word; for something to be mended
    id: ComponentId | None  # that it has, or would have
    digest: Digest | None  # None: it was not read
    stamp: Stamp
    tools: tuple[str, ...] = ()  # the first of them
    reason: str = ""


class _Looked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    directory: str
    files: list[Noticed]


_DECODER = msgspec.json.Decoder(_Looked)


class Notices:
    """The notices of a store, of all directories."""

    def __init__(self, store: Store) -> None:
        self._folder = store.root / "local"

    def write(self, directory: str, found: Sequence[Noticed]) -> None:
        """Put down what there is in one directory, in place of what was.

        Raises:
            StoreError: It can't be written.
        """
        path = self._path(directory)
        with explained("write", path):
            if not found:
                if path.exists():
                    files.remove(path)
                return
            files.make_folder(self._folder)
            with files.replacing(path) as descriptor:
                files.write_all(descriptor, msgspec.json.encode(_Looked(directory, list(found))))

    def read(self) -> list[Noticed]:
        """What is in all of them, in the order of the paths; a damaged file has nothing to tell.

        Raises:
            StoreError: The folder can't be read.
        """
        found: list[Noticed] = []
        with explained("read", self._folder):
            for path in files.entries(self._folder):
                if path.suffix != ".json" or path.name.startswith(files.TEMPORARY):
                    continue
                try:
                    found += _DECODER.decode(files.read_bounded(path, _MAX_BYTES)).files
                except (FileNotFoundError, DamagedError, msgspec.MsgspecError, UnicodeDecodeError):
                    continue
        return sorted(found, key=lambda noticed: noticed.source)

    def _path(self, directory: str) -> Path:
        name = hashlib.sha256(directory.encode(errors="surrogateescape")).hexdigest()[:32]
        return self._folder / f"{name}.json"
