"""What a storage URI means: `fs:///abs/path`, `fs://PATH` below the workspace, `fs://state`."""

from __future__ import annotations

from typing import Literal

import msgspec

from wassette_protocol.patterns import Pattern
from wassette_supervisor.errors import PolicyError

MAX_BYTES = 4096  # PATH_MAX of Linux

_SCHEME = "fs://"
STATE_URI = "fs://state"
_FORMS = "write fs://PATH for a path below the workspace, or fs:///PATH for an absolute one"


class StorageUri(msgspec.Struct, frozen=True):
    """`segments` has no `**` at its end: `below` says that what lies below is meant too."""

    root: Literal["absolute", "workspace", "state"]
    segments: tuple[str, ...]
    below: bool

    @property
    def has_glob(self) -> bool:
        return any("*" in segment for segment in self.segments)

    @property
    def text(self) -> str:
        """The one form of all that mean the same."""
        if self.root == "state":
            return STATE_URI
        path = "/".join(self.segments)
        if self.below and (not path or "*" in self.segments[-1]):
            path = f"{path}/**".lstrip("/")
        return f"{_SCHEME}{'/' if self.root == 'absolute' else ''}{path}"

    @property
    def pattern(self) -> Pattern:
        """Of paths below its root, which is `/`, the workspace or the state."""
        return Pattern(tuple(map(_encoded, self.segments)), self.below)


def parse(text: str, *, deny: bool = False) -> StorageUri:
    """Read a URI of an allow rule, or of a deny rule.

    A deny reaches below what it names, whatever form it has: who may not have a folder may not
    have what is in it either. An allow with `*` in its last segment grants these entries only.

    Raises:
        PolicyError: It is none, or doesn't say exactly what it grants.
    """
    path = _path(text)
    absolute = path.startswith("/")
    segments = _segments(text, path.removeprefix("/"))
    for segment in segments:
        _check(text, segment)
    if segments[:1] == ["state"] and not absolute:
        return _state(text, segments)
    below = deny or not segments or "*" not in segments[-1] or segments[-1] == "**"
    kept = _without_needless(segments)
    if not absolute and not deny and (not kept or "*" in kept[0]):
        what = f"the storage URI {text!r} names no folder of the workspace"
        raise PolicyError(what, "begin it with a name, as fs://workspace/**")
    return StorageUri("absolute" if absolute else "workspace", tuple(kept), below)


def _path(text: str) -> str:
    if not text.startswith(_SCHEME):
        instead = f"write fs://{text}" if text.startswith("/") else _FORMS
        raise PolicyError(f"the storage URI {text!r} doesn't begin with fs://", instead)
    try:
        size = len(_encoded(text))
    except UnicodeEncodeError as error:
        what = f"the storage URI {text!a} has half a character"
        raise PolicyError(what, "remove it") from error
    if size > MAX_BYTES:
        raise PolicyError(f"a storage URI of more than {MAX_BYTES} bytes", "grant a folder above")
    path = text.removeprefix(_SCHEME)
    if not path:
        raise PolicyError("the storage URI 'fs://' names nothing", _FORMS)
    if any(ord(character) < 32 or ord(character) == 127 for character in path):
        raise PolicyError(f"the storage URI {text!r} has a control character", "remove it")
    return path


def _segments(text: str, path: str) -> list[str]:
    segments = path.removesuffix("/").split("/") if path else []
    if "" in segments:
        raise PolicyError(f"the storage URI {text!r} has an empty segment", "write one / only")
    return segments


def _check(text: str, segment: str) -> None:
    if segment in {".", ".."}:
        what = f"the storage URI {text!r} has a segment {segment!r}"
        raise PolicyError(what, "write the path that it leads to")
    if "**" in segment and segment != "**":
        what = f"in the storage URI {text!r}, ** is a part of a segment"
        raise PolicyError(what, "write * within a segment, and /**/ between two")
    for sign in "?[{":
        if sign in segment:
            what = f"the storage URI {text!r} has a {sign!r}, which no pattern knows"
            raise PolicyError(what, "use * and ** only, or a rule for each path")


def _state(text: str, segments: list[str]) -> StorageUri:
    if segments not in (["state"], ["state", "**"]):
        # What is in it is the guest's own doing: a part of it could be made a link to another.
        what = f"the storage URI {text!r} names a part of fs://state, which is granted whole"
        raise PolicyError(what, "write fs://state, or another first segment: that one is reserved")
    return StorageUri("state", (), below=True)


def _without_needless(segments: list[str]) -> list[str]:
    kept: list[str] = []
    for segment in segments:
        if segment != "**" or kept[-1:] != ["**"]:
            kept.append(segment)
    return kept[:-1] if kept[-1:] == ["**"] else kept


def _encoded(text: str) -> bytes:
    # A path of the system that is no UTF-8 has its bytes as lone surrogates in Python.
    return text.encode("utf-8", "surrogateescape")


def canonical_path(path: str | bytes) -> tuple[bytes, ...] | None:
    """The segments of an absolute path without `.`, `..` and empty ones; None if it is no such."""
    try:
        raw = path if isinstance(path, bytes) else _encoded(path)
    except UnicodeEncodeError:
        return None
    first, *segments = raw.split(b"/")
    if raw == b"/":
        return ()
    if first or not segments or b"\0" in raw or {b"", b".", b".."}.intersection(segments):
        return None
    return tuple(segments)
