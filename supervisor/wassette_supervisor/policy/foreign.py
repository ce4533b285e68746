"""Sections of policy-mcp that are read and ignored, because ignoring them grants nothing.

Each is either a wish for more, which nobody grants here, or a restriction that always holds: no
component is privileged, inherits an environment, gets arguments or reaches a pipe or socket.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wassette_supervisor.policy import nodes

if TYPE_CHECKING:
    from wassette_supervisor.policy.strict_yaml import Node

# A key that is not here could be a restriction that does not hold: it is refused. None: anything.
_Known = dict[str, "_Known | None"]
IGNORED: _Known = {
    "runtime": {
        "docker": {
            "security": {
                "privileged": None,
                "no_new_privileges": None,
                "capabilities": {"drop": None, "add": None},
            }
        },
        "hyperlight": None,  # policy-mcp leaves its content open, and has no meaning for any
        "wasm": {
            "engine": None,
            "module": None,
            "wasi": {"inherit_env": None, "args": None, "preopens": None},
        },
    },
    "ipc": {"allow": None, "deny": None},
}


def check_ignored(section: str, node: Node) -> None:
    """Check that an ignored section has no key but those known to grant nothing.

    Raises:
        PolicyError: It has another.
    """
    _check(section, node, IGNORED[section])


def _check(what: str, node: Node, known: _Known | None) -> None:
    if known is None:
        return
    for key, value in nodes.fields(node, what, known).items():
        _check(f"{what}.{key}", value, known[key])
