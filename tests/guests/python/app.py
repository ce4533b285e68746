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

    def time_files(self, what: str, path: str, amount: int, times: int) -> int:
        run = _ROUNDS[what]
        began = time.monotonic_ns()
        for _ in range(times):
            run(path, amount)
        return time.monotonic_ns() - began


_AT_ONCE = 1 << 16


def _read(path: str, _: int) -> None:
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - as most programs do it
        while file.read(_AT_ONCE):
            pass


def _write(path: str, amount: int) -> None:
    part = bytes(_AT_ONCE)
    with open(path, "wb", buffering=0) as file:  # noqa: PTH123 - as above
        file.writelines([part] * (amount // _AT_ONCE))


def _names(path: str, amount: int) -> None:
    if len(os.listdir(path)) != amount:  # noqa: PTH208 - the names alone
        raise AssertionError


def _pread(path: str, amount: int) -> None:
    number = os.open(path, os.O_RDONLY)
    done = 0
    while done < amount:
        done += len(os.pread(number, _AT_ONCE, done))
    os.close(number)


def _pwrite(path: str, amount: int) -> None:
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    if os.pwrite(number, bytes(amount), 0) != amount:
        raise AssertionError
    os.close(number)


_ROUNDS = {
    "read": _read,
    "stat": lambda path, _: os.stat(path),  # noqa: PTH116 - the call itself
    "write": _write,
    "names": _names,
    "pread": _pread,
    "pwrite": _pwrite,
}
