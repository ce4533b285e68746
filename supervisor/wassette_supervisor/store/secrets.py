"""The secrets of each component: names and values, for this user alone to read.

A value reaches a guest only where the component's policy names it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from wassette_supervisor.errors import StoreError, UsageError, one_line
from wassette_supervisor.store import files
from wassette_supervisor.store.sealed import sealed, unsealed
from wassette_supervisor.store.trouble import DamagedError, explained, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from wassette_protocol.frames import ComponentId
    from wassette_supervisor.store.files import Stamp
    from wassette_supervisor.store.store import Store

SECRET_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
MAX_SECRETS = 64
MAX_SECRET_BYTES = 64 << 10
_MAX_FILE_BYTES = MAX_SECRETS * 6 * MAX_SECRET_BYTES  # a control character takes six in JSON
_SET_AGAIN = "delete that file and set them again"


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    component: str  # whose they are, wherever the file is moved to
    secrets: dict[str, str]


_DECODER = msgspec.json.Decoder(_File)


class Secrets:
    """The secrets of a store. Not in any repr."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._folder = store.secrets

    def read(self, component: ComponentId) -> dict[str, str]:
        """The values by their names.

        Raises:
            StoreError: They can't be read.
        """
        path = self._path(component)
        try:
            with explained("read", path, f"let this user read it, or {_SET_AGAIN}"):
                try:
                    return _decoded(files.read_bounded(path, _MAX_FILE_BYTES), component)
                except FileNotFoundError:
                    return {}
        except (DamagedError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            # Not the error's own words: they could quote a value.
            raise StoreError(f"the secrets in {shown(path)} are damaged; {_SET_AGAIN}") from error

    def stamp(self, component: ComponentId) -> Stamp | None:
        """Another value after every change; None if there are none.

        Raises:
            StoreError: Their folder can't be looked at.
        """
        path = self._path(component)
        with explained("look at", path):
            return files.stamp(path)

    def set(self, component: ComponentId, values: Mapping[str, str]) -> None:
        """Keep these beside those that are there.

        Raises:
            UsageError: A name or a value can't be kept.
            StoreError: They can't be written.
        """
        for name, value in values.items():
            _check(name, value)
        kept = self.read(component) | dict(values)
        if len(kept) > MAX_SECRETS:
            raise UsageError(f"a component has {MAX_SECRETS} secrets at most; delete some first")
        self._write(component, kept)

    def delete(self, component: ComponentId, names: Iterable[str]) -> None:
        """Forget these.

        Raises:
            UsageError: There is none of such a name; nothing was deleted.
            StoreError: They can't be written.
        """
        kept = self.read(component)
        for name in names:
            if name not in kept:
                there = ", ".join(sorted(self.read(component))) or "none at all"
                raise UsageError(f"there is no secret {one_line(name)!r}; there is {there}")
            del kept[name]
        self._write(component, kept)

    def forget(self, component: ComponentId) -> None:
        """Delete all of a component's."""
        path = self._path(component)
        with explained("remove", path):
            files.remove(path)

    def _write(self, component: ComponentId, values: dict[str, str]) -> None:
        path = self._path(component)
        with explained("write", path):
            if not values:
                files.remove(path)
                return
            files.make_folder(self._folder)
            with files.replacing(path) as descriptor:
                kept = msgspec.json.encode(_File(component, values), order="deterministic")
                files.write_all(descriptor, sealed(kept))

    def _path(self, component: ComponentId) -> Path:
        return self._folder / self._store.component_file(component, "json").name


def _decoded(data: bytes, component: ComponentId) -> dict[str, str]:
    kept = _DECODER.decode(unsealed(data))
    if kept.component != component:
        raise DamagedError("they are another component's")
    return kept.secrets


def _check(name: str, value: str) -> None:
    if not SECRET_NAME.fullmatch(name):
        raise UsageError(
            f"{one_line(name)!r} is no name of a secret; it takes letters, digits and _, the "
            "first no digit"
        )
    if "\0" in value or not value or len(value.encode(errors="surrogatepass")) > MAX_SECRET_BYTES:
        raise UsageError(
            f"the secret {name} should have 1 to {MAX_SECRET_BYTES} bytes, and no zero byte"
        )
