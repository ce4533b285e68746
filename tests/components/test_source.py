from __future__ import annotations

import fcntl
import hashlib
import os
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from wassette_supervisor.components.source import from_argument, read_component
from wassette_supervisor.errors import LoadError
from wassette_supervisor.store.record import MAX_COMPONENT_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

ALL_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE

# Changes a file again and again until its standard input ends; says when it has begun.
CHANGER = """
import os, select, sys
path, deed = sys.argv[1:]
descriptor = os.open(path, os.O_RDWR | os.O_APPEND * (deed == "append"))
size = os.fstat(descriptor).st_size
deeds = {
    "overwrite": lambda: os.pwrite(descriptor, b"x", 0),
    "append": lambda: os.write(descriptor, b"x"),
    "truncate": lambda: (os.truncate(path, size - 9), os.truncate(path, size)),
}
deeds[deed]()
print("begun", flush=True)
while not select.select([0], [], [], 0)[0]:
    deeds[deed]()
"""


def refusal(reference: str) -> str:
    open_before = descriptors()
    with pytest.raises(LoadError) as caught:
        read_component(reference)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 1000
    assert descriptors() == open_before
    return text


def descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def component(path: Path, data: bytes = b"\0asm and more") -> str:
    path.write_bytes(data)
    return path.as_uri()


def test_a_file_is_read_into_sealed_memory(tmp_path: Path) -> None:
    data = os.urandom(3_000_000)
    fetched = read_component(component(tmp_path / "Get Weather.wasm", data))
    try:
        assert (fetched.size, fetched.stem) == (len(data), "Get Weather")
        assert fetched.digest == hashlib.sha256(data).hexdigest()
        assert os.pread(fetched.descriptor, len(data) + 1, 0) == data
        assert fcntl.fcntl(fetched.descriptor, fcntl.F_GET_SEALS) == ALL_SEALS
        assert not os.get_inheritable(fetched.descriptor)
        with pytest.raises(PermissionError):
            os.pwrite(fetched.descriptor, b"x", 0)
    finally:
        os.close(fetched.descriptor)


@pytest.mark.parametrize(
    "name", ["plain.wasm", "per%cent.wasm", "a?b#c.wasm", "ünï.wasm", "new\nline.wasm", "+ .wasm"]
)
@pytest.mark.parametrize("prefix", ["file://", "file:", "FILE://localhost", "file://LocalHost"])
def test_every_file_name_can_be_written_as_a_uri(tmp_path: Path, name: str, prefix: str) -> None:
    uri = component(tmp_path / name)
    fetched = read_component(prefix + uri.removeprefix("file://"))
    os.close(fetched.descriptor)
    assert fetched.stem == name.removesuffix(".wasm")


def test_a_link_to_a_file_is_followed(tmp_path: Path) -> None:
    component(tmp_path / "a.wasm")
    link = tmp_path / "b.wasm"
    link.symlink_to("a.wasm")
    fetched = read_component(link.as_uri())
    os.close(fetched.descriptor)
    assert fetched.stem == "b"


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        ("", "is no URI"),
        ("a.wasm", "is no URI"),
        ("/abs/a.wasm", "is no URI"),
        ("https://example.com/a.wasm", "can't be loaded by https:"),
        ("oci://ghcr.io/x/y:latest", "can't be loaded by oci:"),
        ("file://example.com/a.wasm", "names the host 'example.com'"),
        ("file://localhost:80/a.wasm", "names the host 'localhost:80'"),
        ("file://..", "names the host '..'"),
        ("file://", "has no absolute path"),
        ("file:a.wasm", "has no absolute path"),
        ("file:///a.wasm?x", "write '?' as %3F"),
        ("file:///a.wasm#x", "write '?' as %3F"),
        ("file:///a%2.wasm", "a broken escape"),
        ("file:///a%zz.wasm", "a broken escape"),
        ("file:///a%00.wasm", "a null"),
        ("file:///a\0.wasm", "a null"),
        ("file:///\ud800.wasm", "is not Unicode"),
        ("file:///does/not/exist.wasm", "No such file or directory"),
        ("file:///" + "x" * 5000, "File name too long"),
        ("x" * 100_000, "is no URI"),
    ],
    ids=lambda value: repr(value[:30]),
)
def test_a_reference_that_cant_be_used_is_refused(reference: str, why: str) -> None:
    assert why in refusal(reference)


def test_what_is_no_regular_file_is_refused_without_blocking(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        assert "is a socket" in refusal((tmp_path / "socket").as_uri())
    assert "is a FIFO" in refusal((tmp_path / "fifo").as_uri())
    assert "is a directory" in refusal(tmp_path.as_uri())
    assert "is a device" in refusal("file:///dev/zero")
    assert "is a device" in refusal("file:///dev/null")


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    assert "is empty" in refusal(component(tmp_path / "a.wasm", b""))
    assert "is empty" in refusal("file:///proc/self/status")


def test_a_file_of_the_greatest_size_is_taken_and_one_byte_more_is_not(tmp_path: Path) -> None:
    uri = component(tmp_path / "a.wasm")
    os.truncate(tmp_path / "a.wasm", MAX_COMPONENT_BYTES)
    fetched = read_component(uri)
    os.close(fetched.descriptor)
    assert fetched.size == MAX_COMPONENT_BYTES
    os.truncate(tmp_path / "a.wasm", MAX_COMPONENT_BYTES + 1)
    assert "has 104857601 bytes" in refusal(uri)
    os.truncate(tmp_path / "a.wasm", 1 << 40)
    assert "has 1099511627776 bytes" in refusal(uri)


@contextmanager
def being_changed(path: Path, deed: str) -> Iterator[None]:
    with subprocess.Popen(  # noqa: S603 - this Python, our script
        [sys.executable, "-c", CHANGER, str(path), deed],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as changer:
        try:
            assert changer.stdout is not None
            assert changer.stdout.readline() == b"begun\n"
            yield
        finally:
            changer.kill()


@pytest.mark.parametrize("deed", ["overwrite", "append", "truncate"])
def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path, deed: str) -> None:
    # Long enough to read that the other process has its turn meanwhile on one processor too.
    path = tmp_path / "a.wasm"
    component(path, b"x" * 60_000_000)
    with being_changed(path, deed):
        text = refusal(path.as_uri())
    assert text == f"{path} changed while it was read; load it again when it is written whole"
    os.close(read_component(path.as_uri()).descriptor)


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("a.wasm", "file:///here/a.wasm"),
        ("./a%b ?.wasm", "file:///here/a%25b%20%3F.wasm"),
        ("../a.wasm", "file:///here/../a.wasm"),
        ("/x/a.wasm", "file:///x/a.wasm"),
        ("c:a.wasm", "file:///here/c%3Aa.wasm"),
        ("a://b", "a://b"),
        ("./a://b", "file:///here/a%3A/b"),
        ("file:///x", "file:///x"),
        ("FILE:/x", "FILE:/x"),
        ("oci://x", "oci://x"),
        ("\udcff.wasm", "file:///here/%FF.wasm"),
    ],
)
def test_a_command_line_argument_is_a_path_or_a_uri(text: str, reference: str) -> None:
    assert from_argument(text, Path("/here")) == reference


@pytest.mark.parametrize("text", ["", "a\0b"])
def test_a_command_line_argument_that_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(LoadError, match="give a path of one"):
        from_argument(text, Path("/here"))


def test_a_relative_argument_is_read_from_the_given_directory(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff.wasm")).write_bytes(b"x")
    fetched = read_component(from_argument("\udcff.wasm", tmp_path))
    os.close(fetched.descriptor)
    assert fetched.stem == "\udcff"
