"""What is kept of components between runs: their bytes, their compiled code, a record of each.

Readers take no lock: a file appears whole or not at all, and content is found by its digest.
Writers, of any process, take turns. The compiled code's own digest shows damage; it does not
show what the user who owns the store did to it on purpose.
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

import structlog

from wassette_protocol.frames import ComponentId, Digest
from wassette_supervisor.errors import StoreError, UnknownComponentError, one_line
from wassette_supervisor.store import artefacts, files
from wassette_supervisor.store.lock import WriterLock
from wassette_supervisor.store.record import (
    COMPONENT_ID,
    DIGEST,
    MAX_COMPONENT_BYTES,
    MAX_RECORD_BYTES,
    Record,
    decoded,
    encoded,
)
from wassette_supervisor.store.trouble import DamagedError, explained, shown

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

LOCK_WAIT_S = 30.0

_ENGINE: Final = re.compile(r"[0-9A-Za-z._+-]{1,100}")
_MEND = "run `component repair --all`, or load the component again"

log = structlog.get_logger(__name__)


class Store:
    """A folder of components; safe to use from several threads and processes.

    `damaged` names the records that the last `records()` left out, with the reason of each.
    """

    def __init__(self, root: Path, *, lock_wait_s: float = LOCK_WAIT_S) -> None:
        self.root = root
        self.damaged: dict[str, str] = {}
        self._lock = WriterLock(root, lock_wait_s)
        self._writing = False
        self._blobs = root / "blobs" / "sha256"
        self._artefacts = root / "artefacts"
        self._components = root / "components"
        self.secrets = root / "secrets"  # one file a component

    # --- opening and locking --------------------------------------------------------------

    def open(self) -> None:
        """Make what is missing of the folder, and prove that it can be written to.

        Raises:
            StoreError: It can't be.
        """
        for folder in (self._blobs, self._artefacts, self._components):
            with explained("make", folder):
                files.make_folder(folder)
        self._require_private()
        self._lock.probe()

    def _require_private(self) -> None:
        # Whoever can write here can have code run and rights granted in this user's name.
        for folder in (self.root, self._components, self._artefacts):
            with explained("look at", folder):
                try:
                    found = folder.stat()
                except FileNotFoundError:
                    continue
            if found.st_mode & 0o022 or found.st_uid not in (os.geteuid(), 0):
                raise StoreError(
                    f"others than this user may write to {shown(folder)}, of the store; run "
                    "`chmod go-w` on it as its owner, or choose another folder with "
                    "--component-dir"
                )

    @contextmanager
    def writing(self, purpose: str = "change it") -> Iterator[None]:
        """Keep all other writers out, of this process and others. Not to be nested.

        Compile before, not within: others wait at most 30 seconds.

        Args:
            purpose: What others that wait too long are told, as "load weather".

        Raises:
            StoreError: The folder can't be written to, or another writer was too slow.
        """
        self.open()
        with self._lock.held(purpose):
            self._writing = True
            try:
                yield
            finally:
                self._writing = False

    def _require_lock(self) -> None:
        if not self._writing:
            raise RuntimeError("the store is written to only within writing()")

    # --- records --------------------------------------------------------------------------

    def generation(self) -> int:
        """A number that is another one after each save and remove, of any process."""
        with explained("read", self._components):
            try:
                return self._components.stat().st_mtime_ns
            except FileNotFoundError:
                return 0

    def records(self) -> dict[ComponentId, Record]:
        """All records that can be read, by id; needs no more than the right to read.

        Raises:
            StoreError: The folder can't be read.
        """
        self._require_private()
        found, self.damaged = self._scan()
        return found

    def _scan(self) -> tuple[dict[ComponentId, Record], dict[str, str]]:
        found: dict[ComponentId, Record] = {}
        damaged: dict[str, str] = {}
        with explained("read", self._components):
            paths = files.entries(self._components)
        for path in paths:
            if path.suffix != ".json" or path.name.startswith("."):
                continue
            try:
                record = _read_record(path)
            except FileNotFoundError:  # removed meanwhile
                continue
            except DamagedError as error:
                damaged[one_line(path.name)] = one_line(str(error))
            else:
                found[record.id] = record
        return found, damaged

    def record(self, component: ComponentId) -> Record:
        """The record of this id.

        Raises:
            UnknownComponentError: There is none that can be read.
            StoreError: The folder can't be read.
        """
        self._require_private()
        if not COMPONENT_ID.fullmatch(component):
            raise UnknownComponentError(component)
        try:
            return _read_record(self._record_path(component))
        except (FileNotFoundError, DamagedError) as error:
            raise UnknownComponentError(component) from error

    def has_record(self, component: ComponentId) -> bool:
        """Whether there is something in a record's place, in whatever state."""
        return os.path.lexists(self._record_path(component))

    def damaged_ids(self) -> set[str]:
        """The ids whose records can't be read now."""
        _, damaged = self._scan()
        return {name.removesuffix(".json") for name in damaged}

    def save(self, record: Record) -> None:
        """Keep a record, in place of an earlier one with its id; whole on disk at return.

        Raises:
            StoreError: It could not be written; the earlier one is still there.
        """
        self._require_lock()
        path = self._record_path(record.id)
        _checked_digest(record.digest)
        data = encoded(record)
        if len(data) > MAX_RECORD_BYTES:
            raise StoreError(
                f"the component {record.id!r} can't be kept: its record has {len(data)} bytes, "
                f"and {MAX_RECORD_BYTES} is the most; export fewer functions, or simpler ones"
            )
        with (
            explained("write", path),
            files.new_generation(self._components),
            files.replacing(path) as descriptor,
        ):
            files.write_all(descriptor, data)

    def remove(self, component: ComponentId) -> bool:
        """Forget a record, also a damaged one; whether there was one."""
        self._require_lock()
        path = self._record_path(component)
        with explained("remove", path), files.new_generation(self._components):
            return files.remove(path)

    def _record_path(self, component: str) -> Path:
        return self.component_file(component, "json")

    # --- what is kept beside records ------------------------------------------------------

    def component_file(self, component: str, suffix: str) -> Path:
        """Where something of a component is kept, beside its record."""
        if not COMPONENT_ID.fullmatch(component):
            raise StoreError(f"{one_line(component)!r} is no component id; nothing was changed")
        return self._components / f"{component}.{suffix}"

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Within this, files beside records are written; readers then see another generation."""
        self._require_lock()
        with files.new_generation(self._components):
            yield

    # --- bytes ----------------------------------------------------------------------------

    def add_blob(self, digest: Digest, descriptor: int, size: int) -> None:
        """Keep a component's bytes, read from the start of `descriptor`.

        Raises:
            StoreError: They could not be written, or are not those of the digest.
        """
        self._require_lock()
        path = self._blobs / _checked_digest(digest)
        with explained("write", path), files.replacing(path) as target:
            _copy_exactly(descriptor, target, size, digest)

    def open_blob(self, digest: Digest) -> int:
        """A sealed memfd with a component's bytes, verified; the caller closes it.

        Raises:
            StoreError: They are missing or damaged.
        """
        path = self._blobs / _checked_digest(digest)
        with explained("read", path, _MEND):
            try:
                return files.sealed_copy(path, digest, MAX_COMPONENT_BYTES)
            except DamagedError as error:
                raise StoreError(
                    f"the component's bytes in {shown(path)} are damaged: {error}; {_MEND}"
                ) from error

    def blob_damage(self, digest: Digest) -> str | None:
        """What is wrong with a component's bytes; None if nothing is. Reads all of them."""
        try:
            files.verify(self._blobs / _checked_digest(digest), digest, MAX_COMPONENT_BYTES)
        except FileNotFoundError:
            return "it is missing"
        except (OSError, DamagedError) as error:
            return files.why(error)
        return None

    def add_artefact(self, digest: Digest, engine: str, descriptor: int, size: int) -> None:
        """Keep what `engine` compiled of a component, read from the start of `descriptor`.

        Raises:
            StoreError: It could not be written, or has not this size.
        """
        self._require_lock()
        path = self._artefact_path(digest, engine)
        with explained("write", path), files.replacing(path) as target:
            kept = _copy_exactly(descriptor, target, size)
            with files.replacing(artefacts.beside(path)) as beside:
                files.write_all(beside, artefacts.kept(path, kept, size))

    def load_artefact(self, digest: Digest, engine: str) -> int | None:
        """A sealed memfd with compiled code, verified; the caller closes it.

        None when there is none that can be used. A damaged one is deleted if nobody is writing.
        """
        path = self._artefact_path(digest, engine)
        try:
            return artefacts.verified(path)
        except FileNotFoundError:
            return None
        except OSError as error:  # what can be made anew stops no call
            log.warning("store.compiled_code_unreadable", file=path.name, why=error.strerror)
        except DamagedError as error:
            log.warning("store.compiled_code_damaged", file=path.name, why=str(error))
            self._delete_damaged(path)
        return None

    def damaged_artefacts(self, digest: str = "") -> dict[Path, str]:
        """The compiled code, of these bytes or of all, that can't be used, and why; reads it."""
        with explained("read", self._artefacts):
            return artefacts.damaged(self._artefacts, digest)

    def remove_artefact(self, path: Path) -> None:
        """Delete compiled code, which is made anew when it is needed."""
        self._require_lock()
        with explained("remove", path):
            files.remove(artefacts.beside(path))
            files.remove(path)

    def _artefact_path(self, digest: Digest, engine: str) -> Path:
        if not _ENGINE.fullmatch(engine):
            raise StoreError(f"{one_line(engine)!r} is no engine's name; nothing was changed")
        return self._artefacts / f"{_checked_digest(digest)}-{engine}{artefacts.SUFFIX}"

    def _delete_damaged(self, path: Path) -> None:
        # A store that can only be read stays as it is. One that is being written to as well:
        # perhaps it is this file, which will then be good.
        with suppress(OSError, StoreError), self._lock.if_free() as free:
            if free and not artefacts.is_good(path):
                artefacts.beside(path).unlink(missing_ok=True)
                path.unlink()

    # --- tidying up -----------------------------------------------------------------------

    def collect(self, keep: Collection[Digest] = ()) -> None:
        """Delete what no record names and `keep` doesn't either, and what killed writers left."""
        self._require_lock()
        found, damaged = self._scan()
        named = {record.digest for record in found.values()}.union(keep)
        with explained("tidy up", self.root), files.new_generation(self._components):
            bytes_kept = [*files.entries(self._blobs), *files.entries(self._artefacts)]
            beside = [*files.entries(self._components), *files.entries(self.secrets)]
            garbage = [path for path in bytes_kept + beside if _is_temporary(path)]
            # What a damaged record names is not known, and it may be mended one day.
            garbage += [] if damaged else [path for path in bytes_kept if _is_unnamed(path, named)]
            garbage += [path for path in bytes_kept if _is_alone(path)]
            garbage += self._without_record(beside)
            for path in garbage:
                with suppress(IsADirectoryError):  # none of ours
                    path.unlink(missing_ok=True)

    def _without_record(self, beside: list[Path]) -> list[Path]:
        """The policies and secrets of components that are not there, not even damaged."""
        there = {path.stem for path in beside if path == self._components / f"{path.stem}.json"}
        found = []
        for path in beside:
            suffix = ".json" if path.parent == self.secrets else ".policy.yaml"
            component = path.name.removesuffix(suffix)
            if component != path.name and component not in there:
                found.append(path)
        return found


def _is_temporary(path: Path) -> bool:
    return path.name.startswith(files.TEMPORARY)


def _is_unnamed(path: Path, named: Collection[Digest]) -> bool:
    return bool(DIGEST.match(path.name)) and path.name[:64] not in named


def _is_alone(path: Path) -> bool:
    """Whether it is the digest of an artefact that isn't there."""
    return path.suffix == ".sha256" and not path.with_suffix("").exists()


def _read_record(path: Path) -> Record:
    """Read a record that may be damaged.

    Raises:
        DamagedError: It is; says why.
    """
    try:
        record = decoded(files.read_bounded(path, MAX_RECORD_BYTES))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DamagedError(files.why(error)) from error
    if not COMPONENT_ID.fullmatch(path.stem) or record.id != path.stem:
        raise DamagedError(f"it is the record of {record.id!r}")
    return record


def _copy_exactly(source: int, target: int, size: int, digest: str | None = None) -> Digest:
    copied, found = files.copy_hashed(source, target, size)
    if copied != size or digest not in (None, found):
        raise StoreError(
            f"the bytes to keep are others than those announced ({copied} of {size} bytes, "
            f"SHA-256 {found}); nothing was kept, load the component again"
        )
    return found


def _checked_digest(digest: str) -> str:
    # It becomes a part of a path.
    if not DIGEST.fullmatch(digest):
        raise StoreError(f"{one_line(digest)!r} is no SHA-256; load the component again")
    return digest
