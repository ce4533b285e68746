"""The secrets of components that are loaded; what is kept of them is the store's matter."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from wassette_supervisor.errors import StoreError
from wassette_supervisor.store.secrets import Secrets

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from wassette_protocol.frames import ComponentId
    from wassette_supervisor.store.files import Stamp
    from wassette_supervisor.store.store import Store


class ComponentSecrets:
    """Secrets by component; each change is made under the store's lock."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept = Secrets(store)
        self._digests: dict[ComponentId, tuple[Stamp | None, Mapping[str, bytes]]] = {}
        self._key = os.urandom(32)  # so that a digest is of no use elsewhere

    def of(self, component: ComponentId) -> Mapping[str, str]:
        """The values by their names.

        Raises:
            UnknownComponentError: There is no such component.
            StoreError: They can't be read.
        """
        self._store.record(component)
        return self._kept.read(component)

    def digests(self, component: ComponentId) -> Mapping[str, bytes]:
        """A digest of each value, which tells that it changed and can't tell what it was.

        Of secrets that can't be read there are none: no call is given any of them either.
        """
        try:
            stamp = self._kept.stamp(component)
            known = self._digests.get(component)
            if known is None or known[0] != stamp:
                values = self._kept.read(component) if stamp is not None else {}
                digests = {name: self._digest(value) for name, value in values.items()}
                known = self._digests[component] = stamp, digests
        except StoreError:
            return {}
        return known[1]

    def _digest(self, value: str) -> bytes:
        return hashlib.blake2b(value.encode(), key=self._key).digest()

    def set(self, component: ComponentId, values: Mapping[str, str]) -> None:
        """Keep these beside those that are there.

        Raises:
            UnknownComponentError: There is no such component.
            UsageError: A name or a value can't be kept.
            StoreError: They can't be written.
        """
        with self._store.writing(f"keep secrets of {component}"):
            self._store.record(component)
            self._kept.set(component, values)

    def delete(self, component: ComponentId, names: Iterable[str]) -> None:
        """Forget these.

        Raises:
            UnknownComponentError: There is no such component.
            UsageError: There is none of such a name; nothing was deleted.
            StoreError: They can't be written.
        """
        with self._store.writing(f"delete secrets of {component}"):
            self._store.record(component)
            self._kept.delete(component, names)

    def forget(self, component: ComponentId) -> None:
        """Delete all of a component's; within the store's `writing`."""
        self._kept.forget(component)
        self._digests.pop(component, None)
