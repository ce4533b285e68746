"""What a component's imports tell of what it is made to use, in words of ours."""

from __future__ import annotations

_WANTS = {
    "wasi:filesystem/": "files",
    "wasi:http/": "the network",
    "wasi:sockets/": "the network",
    "wasi:config/": "its configuration",
    "wasi:cli/environment": "environment variables",
}


def wants(imports: list[str]) -> tuple[str, ...]:
    """In the order of the table, each once."""
    found = [
        words
        for prefix, words in _WANTS.items()
        if any(name.startswith(prefix) for name in imports)
    ]
    return tuple(dict.fromkeys(found))
