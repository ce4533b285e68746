"""A guest with one function for each thing that a test wants a real language runtime to do."""

# What isn't imported while the component is built isn't there when it runs: codecs too.
import encodings.idna
import encodings.punycode  # noqa: F401 - found by its name
import os
import secrets
import socket
import sys
import time
from pathlib import Path

import wit_world
from componentize_py_types import Err


class WitWorld(wit_world.WitWorld):
    def greet(self, name: str) -> str:
        return f"Hello, {name}!"

    def add_all(self, numbers: list[int]) -> int:
        return sum(numbers)

    def describe(self, person: wit_world.Person) -> wit_world.Person:
        return person

    def reverse_bytes(self, data: bytes) -> bytes:
        return data[::-1]

    def read_file(self, path: str) -> str:
        try:
            return Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise Err(str(error)) from error

    def fetch_env(self, name: str) -> str | None:
        return os.environ.get(name)

    def connect(self, host: str, port: int) -> str:
        try:
            with socket.create_connection((host, port), timeout=5):
                return f"connected to {host}:{port}"
        except (OSError, UnicodeError) as error:
            raise Err(str(error)) from error

    def random_hex(self, count: int) -> str:
        return secrets.token_hex(count)

    def print_both(self, text: str, times: int) -> None:
        for _ in range(times):
            print(text)  # noqa: T201 - that is the point
            print(text, file=sys.stderr)  # noqa: T201 - a guest that prints
        sys.stdout.flush()

    def sleep_ms(self, milliseconds: int) -> None:
        time.sleep(milliseconds / 1000)

    def spin(self) -> None:
        while True:
            pass

    def allocate_mib(self, size: int) -> int:
        kept = [bytearray(b"\xaa" * (1 << 20)) for _ in range(size)]
        return len(kept)

    def fail(self, message: str) -> None:
        raise RuntimeError(message)

    def exit_with(self, code: int) -> None:
        sys.exit(code)

    def now_ns(self) -> int:
        return time.time_ns()
