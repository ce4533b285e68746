"""Components that others made and published, as they are: they run, or are refused by name."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from support import guests, prebuilt, served

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = guests.SOURCES / "third_party"
CODECS = ("identity", "round", "zlib")

# Rust, WASI 0.2.6 and wasi:logging; what is no resource of theirs becomes a tool.
ENCODE = "[method]codec.encode"


def invoked(store: Path, tool: str) -> Any:
    done = served.operate(store, "tool", "invoke", tool)
    assert done.returncode == 0, done.stderr.decode()
    return msgspec.json.decode(done.stdout)


@pytest.mark.parametrize("codec", CODECS)
def test_a_published_codec_is_loaded_and_answers(codec: str, tmp_path: Path) -> None:
    store = tmp_path / "store"
    loaded = served.load(store, FOLDER / "numcodecs" / f"{codec}.wasm")
    assert loaded["tools"] == ["codec-id", "codec-config-schema"]
    left_out = {one["function"]: one["reason"] for one in loaded["left_out"]}
    assert left_out[ENCODE] == "a resource has no JSON form"
    assert codec in invoked(store, "codec-id")
    schema = msgspec.json.decode(invoked(store, "codec-config-schema"))
    assert schema["type"] == "object"


@pytest.mark.parametrize("language", prebuilt.LANGUAGES)
def test_a_guest_that_is_kept_was_made_of_the_sources_beside_it(language: str) -> None:
    recorded = prebuilt.recorded()[language]
    found = hashlib.sha256(prebuilt.content(language)).hexdigest()
    assert recorded["component"] == found
    assert recorded["sources"] == prebuilt.sha256_of_sources(language), "run scripts/prebuilt"


def test_every_kept_file_of_others_has_its_origin_and_digest_written_down() -> None:
    notice = (FOLDER / "README.md").read_text()
    for path in FOLDER.rglob("*.wasm"):
        assert hashlib.sha256(path.read_bytes()).hexdigest() in notice, path


def test_what_a_guest_logs_is_in_its_output(tmp_path: Path) -> None:
    store = served.make_store(tmp_path / "store", ["logs"])
    done = served.operate(store, "tool", "invoke", "logs")
    assert done.returncode == 0, done.stderr.decode()
    assert "warn weather: rain ☂\n" in done.stderr.decode()
