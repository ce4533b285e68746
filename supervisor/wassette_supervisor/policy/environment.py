"""What an environment rule may name: variables, their values, and secrets."""

from __future__ import annotations

import re

from wassette_supervisor.errors import PolicyError

MAX_KEY = 256
MAX_VALUE_BYTES = 32 << 10

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def key(text: str) -> str:
    """Check the name of a variable.

    Raises:
        PolicyError: It is none.
    """
    return _name(text, "variable")


def secret(text: str) -> str:
    """Check the name of a secret.

    Raises:
        PolicyError: It is none.
    """
    return _name(text, "secret")


def value(text: str) -> str:
    """Check the value of a variable.

    Raises:
        PolicyError: It is too long, or can't be one.
    """
    if "\0" in text or len(text.encode()) > MAX_VALUE_BYTES:
        what = f"a value with NUL in it, or of more than {MAX_VALUE_BYTES >> 10} KiB"
        raise PolicyError(what, "grant a file instead")
    return text


def _name(text: str, what: str) -> str:
    if "*" in text:
        raise PolicyError(f"the {what} {text!r} is a pattern", f"name each {what}")
    if not _NAME.fullmatch(text) or len(text) > MAX_KEY:
        instead = "write letters, digits and _, with no digit first"
        raise PolicyError(f"{text!r} is no name of a {what}", instead)
    return text
