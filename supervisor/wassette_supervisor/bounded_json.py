"""How much a JSON text would become, counted on its bytes before anything is built of it.

A megabyte of `[[],[],…]` becomes some 25 MB of Python objects, so a cap on bytes alone does not
bound memory. Every step is one linear pass inside `bytes`: 4 MiB take some 10 milliseconds.
"""

from __future__ import annotations

from itertools import accumulate

# Each stands before a value or a name, but for the bracket of an empty container.
_SEPARATORS = b",:[{"
# What the count needs: brackets, separators, quotes, and of each number or literal (true, false,
# null) at least one byte, so that `[1]` does not look like `[]`.
_DULL = bytes(byte for byte in range(256) if byte not in b',:[]{}"0123456789ul')
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


class TooLargeError(ValueError):
    """More values, or a deeper nesting, than allowed."""


def check(raw: bytes, *, max_nodes: int, max_depth: int) -> None:
    """Check that a JSON text has at most so many values and names, nested at most so deep.

    Whether it is JSON at all is for the parser to say. For a text that isn't, the bounds hold
    for the part before the mistake, which is all that a parser makes objects of.

    Raises:
        TooLargeError: It has more.
    """
    opened = raw.count(b"[") + raw.count(b"{")
    if opened <= max_depth and _at_most(raw) <= max_nodes:
        return  # even if every comma and bracket stood outside of strings
    bare = _without_strings(raw, max_nodes)
    # An empty container's bracket was counted for a first value that it doesn't have.
    if _at_most(bare) - bare.count(b"[]") - bare.count(b"{}") > max_nodes:
        raise TooLargeError(f"more than {max_nodes} JSON values")
    if _depth(bare) > max_depth:
        raise TooLargeError(f"JSON nested deeper than {max_depth}")


def _at_most(text: bytes) -> int:
    return 1 + len(text) - len(text.translate(None, _SEPARATORS))


def _without_strings(raw: bytes, max_nodes: int) -> bytes:
    """Leave of each string one `"`, and of the rest what counting needs."""
    if b"\\" in raw:
        # In this order: what follows an escaped backslash is not escaped by it.
        raw = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    # Each string is a value or a name. Checked here, before the split makes an object of each.
    if raw.count(b'"') > 2 * max_nodes:
        raise TooLargeError(f"more than {max_nodes} JSON values")
    return b'"'.join(raw.translate(None, _DULL).split(b'"')[::2])


def _depth(bare: bytes) -> int:
    brackets = bare.translate(None, _NOT_BRACKETS)
    return max(accumulate(map(_STEP.__getitem__, brackets)), default=0)
