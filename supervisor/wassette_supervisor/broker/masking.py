"""Secrets masked in what comes back.

A byte is masked if it belongs to any occurrence of a secret, in the whole of a body: in which
pieces that came changes nothing. What is masked keeps its length, so no framing changes.

An echo that was changed is not found (other letters, coded, split between two answers). A value
shorter than MIN_BYTES is not looked for: it stands in answers that don't echo it, and whoever can
have guesses echoed finds it in either case.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from wassette_supervisor.broker.headers import Headers

MIN_BYTES = 4
_STAR = b"*"


def secrets(inject: Iterable[tuple[str, str]]) -> tuple[bytes, ...]:
    """What is looked for: each injected value, and what follows its scheme ("Bearer")."""
    found: dict[bytes, None] = {}
    for _, value in inject:
        whole = value.strip().encode()
        scheme, _, rest = whole.partition(b" ")
        credentials = rest.strip() if scheme.isalnum() else b""
        found.update(dict.fromkeys(each for each in (whole, credentials) if len(each) >= MIN_BYTES))
    return tuple(found)


class Mask:
    """Masks one body, in pieces; holds back no more than could still become a secret."""

    def __init__(self, needles: Sequence[bytes]) -> None:
        self._needles = needles
        self._longest = max(map(len, needles), default=0)
        self._raw = b""  # held back, as it came
        self._masked = b""  # the same bytes, masked as far as that is known

    def feed(self, piece: bytes) -> bytes:
        """What can be told by now."""
        if not self._needles:
            return piece
        raw = self._raw + piece if self._raw else piece
        masked = _masked(raw, self._masked, self._needles)
        kept = self._open(raw)
        told = len(raw) - kept
        self._raw, self._masked = raw[told:], masked[told:]
        return masked[:told] if kept else masked

    def flush(self) -> bytes:
        """The rest, at the end of the body."""
        rest, self._raw, self._masked = self._masked, b"", b""
        return rest

    def _open(self, raw: bytes) -> int:
        """How many of the last bytes are the beginning of a secret."""
        tail = raw[-(self._longest - 1) :]
        return max(_begun(tail[-(len(needle) - 1) :], needle) for needle in self._needles)


def _begun(tail: bytes, needle: bytes) -> int:
    start = tail.find(needle[0])
    while start >= 0:
        if needle.startswith(tail[start:]):
            return len(tail) - start
        start = tail.find(needle[0], start + 1)
    return 0


def _masked(raw: bytes, known: bytes, needles: Sequence[bytes]) -> bytes:
    """`raw`, which begins with what `known` is the masked form of, with every secret masked."""
    masked: bytearray | None = None
    for needle in needles:
        start = raw.find(needle)
        while start >= 0:
            if masked is None:
                masked = bytearray(raw)
            masked[start : start + len(needle)] = _STAR * len(needle)
            start = raw.find(needle, start + 1)
    if masked is None:
        return raw if raw.startswith(known) else known + raw[len(known) :]
    for place, byte in enumerate(known):
        if byte != raw[place]:
            masked[place] = byte
    return bytes(masked)


def whole(text: bytes, needles: Sequence[bytes]) -> bytes:
    return _masked(text, b"", needles)


def of_headers(headers: Headers, needles: Sequence[bytes]) -> Headers:
    """Masked in values, and in names: a star may stand there too."""
    if not needles:
        return headers
    return [(whole(name, needles), whole(value, needles)) for name, value in headers]
