"""wasi:config: the variables that a call was granted, and no others, by their names.

The engine brings no host of its own for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wassette_protocol.frames import MAX_KEY_CHARACTERS, MAX_MISSING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wasmtime.component import Linker

# Drafts are matched by their exact names. Both functions are alike in all of these: what the
# current draft calls a store was a runtime before; the dated one is Spin's.
INTERFACES = (
    "wasi:config/store@0.2.0-rc.1",
    "wasi:config/store@0.2.0-draft",
    "wasi:config/store@0.2.0-draft-2024-09-27",
    "wasi:config/runtime@0.2.0-draft",
)


class ConfigStore:
    """The values for the one instance of this process; empty until they are granted."""

    def __init__(self) -> None:
        self.missing: list[str] = []  # what was asked for in vain
        self._values: dict[str, str] = {}

    def define(self, linker: Linker, imported: Iterable[str]) -> None:
        """Provide those of the interfaces that the component imports."""
        for interface in INTERFACES:
            if interface in imported:
                with linker.root() as root, root.add_instance(interface) as instance:
                    instance.add_func("get", self._get)
                    instance.add_func("get-all", self._get_all)

    def serve(self, values: Iterable[tuple[str, str]]) -> None:
        self._values = dict(values)

    # Both are result<…, error> in WIT: a plain value is its success, and there is no failure.

    def _get(self, _: Any, key: str) -> str | None:
        value = self._values.get(key)
        known = value is not None or key in self.missing
        if not known and len(self.missing) < MAX_MISSING and len(key) <= MAX_KEY_CHARACTERS:
            self.missing.append(key)
        return value

    def _get_all(self, _: Any) -> list[tuple[str, str]]:
        return list(self._values.items())
