"""What a MIME type that a guest named means for bytes of its making; pure.

The name is checked against the grammar, and what it claims of an image or a sound against the
bytes: a model's provider may refuse a whole conversation for one broken image in it.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import NamedTuple

# RFC 6838, section 4.2: a letter or a digit, then at most 126 of these.
_NAME = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"
_TYPE = re.compile(rf"({_NAME}/{_NAME})(?:; ?charset=utf-8)?", re.IGNORECASE | re.ASCII)
_MAX_CHARACTERS = 2 * 127 + 1 + len("; charset=utf-8")

# What shows a picture or plays a sound and can be nothing else: SVG may hold scripts.
_BEGINNINGS = {
    name: re.compile(beginning, re.DOTALL)
    for name, beginning in {
        "image/gif": rb"GIF8[79]a",
        "image/jpeg": rb"\xff\xd8\xff",
        "image/png": rb"\x89PNG\r\n\x1a\n",
        "image/webp": rb"RIFF....WEBP",
        "audio/aac": rb"\xff[\xf0\xf1\xf8\xf9]",
        "audio/flac": rb"fLaC",
        "audio/mp4": rb"....ftyp",
        "audio/mpeg": rb"ID3|\xff[\xe2-\xe7\xf2-\xf7\xfa-\xff]",
        "audio/ogg": rb"OggS",
        "audio/wav": rb"RIFF....WAVE",
        "audio/webm": rb"\x1a\x45\xdf\xa3",
        "audio/x-wav": rb"RIFF....WAVE",
    }.items()
}
ANY = "application/octet-stream"
# JSON takes six bytes for each of the others; no text needs them.
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


class Form(Enum):
    """As what the bytes are handed on."""

    IMAGE = auto()
    AUDIO = auto()
    TEXT = auto()
    BLOB = auto()


class Judged(NamedTuple):
    form: Form
    mime_type: str  # without parameters, in lower case
    text: str = ""  # of a text
    unlike: str = ""  # the image or audio type that the bytes don't begin as


def parse(named: str) -> str | None:
    """The type and subtype in lower case; None if it is none as RFC 6838 has it.

    No parameter is taken but `charset=utf-8` of a text.
    """
    if len(named) > _MAX_CHARACTERS:
        return None
    found = _TYPE.fullmatch(named)
    if found is None:
        return None
    name = found[1].lower()
    return name if found[0] == found[1] or name.startswith("text/") else None


def judge(mime_type: str, data: bytes) -> Judged:
    """What the bytes may be handed on as; `mime_type` is one that `parse` gave."""
    beginning = _BEGINNINGS.get(mime_type)
    if beginning is not None:
        if not beginning.match(data):
            return Judged(Form.BLOB, ANY, unlike=mime_type)
        image = mime_type.startswith("image/")
        return Judged(Form.IMAGE if image else Form.AUDIO, mime_type)
    if mime_type.startswith("text/"):
        text = _text(data)
        if text is not None:
            return Judged(Form.TEXT, mime_type, text=text)
    return Judged(Form.BLOB, mime_type)


def _text(data: bytes) -> str | None:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return None if _CONTROLS.search(text) else text
