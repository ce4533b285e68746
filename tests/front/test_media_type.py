"""What is made of a MIME type and of bytes, both of a guest's choice."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wassette_supervisor.front.media_type import ANY, Form, judge, parse

LONGEST = "a" * 127


@pytest.mark.parametrize(
    ("named", "parsed"),
    [
        ("image/png", "image/png"),
        ("IMAGE/PNG", "image/png"),
        ("application/vnd.ms-excel", "application/vnd.ms-excel"),
        ("application/ld+json", "application/ld+json"),
        ("x/a!#$&-^_.+", "x/a!#$&-^_.+"),
        ("text/plain; charset=utf-8", "text/plain"),
        ("text/csv;charset=UTF-8", "text/csv"),
        (f"{LONGEST}/{LONGEST}", f"{LONGEST}/{LONGEST}"),
    ],
)
def test_a_type_is_taken_as_rfc_6838_has_it(named: str, parsed: str) -> None:
    assert parse(named) == parsed


HOSTILE = {
    "nothing": "",
    "no subtype": "image",
    "an empty subtype": "image/",
    "an empty type": "/png",
    "three parts": "image/png/x",
    "a space before": " image/png",
    "a line end behind": "image/png\n",
    "a second line": "image/png\r\nX-Header: 1",
    "a NUL": "image/png\0",
    "a quote": 'image/png"',
    "a tag": "image/<script>",
    "a path": "image/../../etc/passwd",
    "a URL": "https://example.com/x.png",
    "a list": "image/png,text/html",
    "a wildcard": "image/*",
    "a parameter": "image/png; charset=utf-8",
    "a profile that clients run": "text/html;profile=mcp-app",
    "another charset": "text/plain; charset=utf-16",
    "two parameters": "text/plain; charset=utf-8; charset=utf-7",
    "a first character that none begins with": "image/.png",
    "a name of 128": f"image/{'a' * 128}",
    "a Cyrillic letter": "im\u0430ge/png",
    "a long s, which is an s to some": "text/plain; char\u017fet=utf-8",
    "a direction override": "image/\u202egnp",
    "a full-width slash": "image\uff0fpng",
}


@pytest.mark.parametrize("named", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_type_is_none(named: str) -> None:
    assert parse(named) is None


def test_a_type_of_megabytes_costs_nothing() -> None:
    began = time.perf_counter()
    assert parse("a" * (16 << 20)) is None
    assert parse("a/" + "a" * (16 << 20)) is None
    assert time.perf_counter() - began < 0.5


PNG = b"\x89PNG\r\n\x1a\n"
BEGINNINGS = {
    "image/png": PNG,
    "image/jpeg": b"\xff\xd8\xff\xe0",
    "image/gif": b"GIF89a",
    "image/webp": b"RIFF\x1a\n\0\0WEBPVP8 ",
    "audio/wav": b"RIFF\x24\n\0\0WAVEfmt ",
    "audio/x-wav": b"RIFF\x24\n\0\0WAVEfmt ",
    "audio/mpeg": b"ID3\x04",
    "audio/ogg": b"OggS",
    "audio/flac": b"fLaC",
    "audio/mp4": b"\0\0\0\x20ftypM4A ",
    "audio/aac": b"\xff\xf1",
    "audio/webm": b"\x1a\x45\xdf\xa3",
}


@pytest.mark.parametrize("named", BEGINNINGS)
def test_an_image_or_a_sound_is_what_begins_as_its_type(named: str) -> None:
    form = Form.IMAGE if named.startswith("image/") else Form.AUDIO
    assert judge(named, BEGINNINGS[named] + b"\0more") == (form, named, "", "")


@pytest.mark.parametrize("named", BEGINNINGS)
@pytest.mark.parametrize(
    "data", [b"", b"<html>", b" " + PNG, PNG[:7], b"RIFF\0\0\0\0AVI "], ids=repr
)
def test_what_does_not_begin_as_its_type_is_bytes_of_no_type(named: str, data: bytes) -> None:
    assert judge(named, data) == (Form.BLOB, ANY, "", named)


@pytest.mark.parametrize(
    "named", ["image/svg+xml", "image/bmp", "image/png+x", "video/mp4", "application/pdf", "x/y"]
)
def test_every_other_type_is_a_file_whatever_it_holds(named: str) -> None:
    for data in (b"", PNG, b"<svg><script/></svg>"):
        assert judge(named, data) == (Form.BLOB, named, "", "")


@pytest.mark.parametrize("text", ["", "a,b\r\n1,2\n", "\tZoë 🦊", "<script>"])
def test_a_text_is_a_text(text: str) -> None:
    assert judge("text/csv", text.encode()) == (Form.TEXT, "text/csv", text, "")


@pytest.mark.parametrize("data", [b"\xff", b"\xed\xa0\x80", b"a\0b", b"\x1b[31m"], ids=repr)
def test_a_text_that_is_no_utf_8_or_holds_controls_is_a_file(data: bytes) -> None:
    assert judge("text/plain", data).form is Form.BLOB


@given(st.text() | st.from_regex(r"[a-z]+/[a-z.]+(;.*)?", fullmatch=True), st.binary())
def test_whatever_comes_is_judged_and_never_shown_under_words_of_the_guest(
    named: str, data: bytes
) -> None:
    mime_type = parse(named)
    if mime_type is not None:
        assert mime_type.isascii()
        assert mime_type.isprintable()
        assert parse(mime_type) == mime_type
        judged = judge(mime_type, data)
        assert judged.mime_type in (mime_type, ANY)
        assert judged.unlike in ("", mime_type)
