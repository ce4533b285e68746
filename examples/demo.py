"""From Python source to a sandboxed tool that an MCP client calls: `sh scripts/demo`."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import anyio
from mcp import Client, StdioServerParameters, stdio_client
from mcp_types import CallToolResult, TextContent

EXAMPLES = Path(__file__).resolve().parent
SOURCE = EXAMPLES / "python-greeter"
PROGRAMS = Path(sys.executable).parent
WIDTH = 80

# For one step; building takes some 10 s, and loading as much, on a machine with two cores.
TIME_OUT_S = 300


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="wassette-demo-") as scratch:
        component = build(Path(scratch))
        component_dir = Path(scratch, "components")
        load(component, component_dir)
        anyio.run(call, component_dir)


def build(scratch: Path) -> Path:
    step(1, "Build a WebAssembly Component from Python source: examples/python-greeter")
    # A copy, because the compiler writes beside its input.
    source = scratch / "source"
    shutil.copytree(SOURCE, source)
    component = source / "greeter.wasm"
    began = time.monotonic()
    run(
        source,
        *(PROGRAMS / "componentize-py", "--wit-path", "wit", "--world", "greeter"),
        *("componentize", "app", "--output", component),
    )
    run(source, sys.executable, EXAMPLES / "inject_docs.py", component, "wit")
    megabytes = component.stat().st_size / 1e6
    say(f"greeter.wasm: {megabytes:.1f} MB, in {time.monotonic() - began:.0f} s.")
    say("It has a whole Python interpreter in it.")
    return component


def load(component: Path, component_dir: Path) -> None:
    step(2, "Load it: wassette-supervisor component load file://.../greeter.wasm")
    began = time.monotonic()
    answer = run(
        component.parent,
        *(PROGRAMS / "wassette-supervisor", "component", "load", component.as_uri()),
        *("--component-dir", component_dir),
    )
    loaded = json.loads(answer)
    say(f"{loaded['status']} as {loaded['id']!r}, in {time.monotonic() - began:.0f} s.")
    say(f"{loaded['digest']}")
    say("It was compiled once; it has no policy, so nothing is granted to it.")


async def call(component_dir: Path) -> None:
    step(3, "Start the server as an MCP client does, and ask for its tools")
    server = StdioServerParameters(
        command=str(PROGRAMS / "wassette-supervisor"),
        args=["run", "--component-dir", str(component_dir)],
    )
    with anyio.fail_after(TIME_OUT_S):
        async with Client(stdio_client(server)) as client:
            for tool in (await client.list_tools()).tools:
                say(f"{tool.name:28} {tool.description or ''}".rstrip())

            step(4, "Call a tool: each call runs in a process of its own")
            greeting = await show(client, "greet", name="Ada")
            expect("Hello, Ada!" in text_of(greeting), "a greeting")
            counts = await show(
                client, "word-count", text="To be, or not to be:\nthat is the question."
            )
            expect(counts.structured_content is not None, "counts")

            step(5, "Call one that wants a file: nobody has allowed that")
            refused = await show(client, "read-note", path="/etc/passwd")

    expect(refused.is_error and "can't read" in text_of(refused), "a refusal by the sandbox")
    say()
    say("The component did not see the file, or that there is a file system at all.")
    sys.stdout.write("\nDone.\n")


async def show(client: Client, tool: str, **arguments: str) -> CallToolResult:
    began = time.monotonic()
    result = await client.call_tool(tool, arguments)
    milliseconds = (time.monotonic() - began) * 1000
    say()
    say(f"{tool} {json.dumps(arguments)}")
    say(f"-> {'refused: ' if result.is_error else ''}{text_of(result)}   ({milliseconds:.0f} ms)")
    return result


def text_of(result: CallToolResult) -> str:
    return " ".join(part.text for part in result.content if isinstance(part, TextContent))


def expect(held: object, what: str) -> None:
    if not held:
        sys.exit(f"\nThis was to be {what}, and is not. The demonstration has failed.")


def run(folder: Path, *command: str | Path) -> str:
    """Run a program to its end and return what it printed; if it fails, so does the demo."""
    done = subprocess.run(  # noqa: S603 - programs of this environment
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIME_OUT_S,
        check=False,
    )
    if done.returncode != 0:
        name = Path(command[0]).name
        sys.exit(f"\n{name} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def step(number: int, title: str) -> None:
    sys.stdout.write(f"\n{number}. {title}\n")
    sys.stdout.flush()


def say(text: str = "") -> None:
    indent = "   "
    wrapped = textwrap.fill(
        text, WIDTH, initial_indent=indent, subsequent_indent=indent + "  ", break_long_words=False
    )
    sys.stdout.write(f"{wrapped.rstrip()}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
