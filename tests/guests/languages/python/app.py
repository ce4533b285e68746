"""What a tool in Python can do: one function for each row of docs/languages.md."""

import os
import secrets
import sys
import time
from pathlib import Path

import wit_world
from componentize_py_types import Err, Ok, Result


class WitWorld(wit_world.WitWorld):
    def echo_text(self, value: str) -> str:
        return value

    def echo_numbers(self, value: wit_world.Numbers) -> wit_world.Numbers:
        return value

    def echo_mood(self, value: wit_world.Mood) -> wit_world.Mood:
        return value

    def echo_days(self, value: wit_world.Days) -> wit_world.Days:
        return value

    def echo_place(self, value: wit_world.Place) -> wit_world.Place:
        return value

    def echo_person(self, value: wit_world.Person) -> wit_world.Person:
        return value

    def echo_option(self, value: str | None) -> str | None:
        return value

    def echo_result(self, value: Result[int, str]) -> int:
        if isinstance(value, Ok):
            return value.value
        raise value

    def echo_list(self, value: list[str]) -> list[str]:
        return value

    def echo_bytes(self, value: bytes) -> bytes:
        return value

    def echo_tuple(self, value: tuple[str, int]) -> tuple[str, int]:
        return value

    def print(self, out: str, err: str) -> None:
        print(out)  # noqa: T201 - that is the point
        print(err, file=sys.stderr)  # noqa: T201 - a guest that prints
        sys.stdout.flush()

    def read_file(self, path: str) -> str:
        try:
            return Path(path).read_text(encoding="utf-8")
        except OSError as error:
            raise Err(str(error)) from error

    def write_file(self, path: str, text: str) -> None:
        try:
            Path(path).write_text(text, encoding="utf-8")
        except OSError as error:
            raise Err(str(error)) from error

    def variable(self, name: str) -> str | None:
        return os.environ.get(name)

    def now(self) -> int:
        return time.time_ns() // 1_000_000

    def random(self) -> bytes:
        return secrets.token_bytes(16)

    def sleep(self, milliseconds: int) -> int:
        began = time.monotonic_ns()
        time.sleep(milliseconds / 1000)
        return (time.monotonic_ns() - began) // 1_000_000

    def exit_with(self, code: int) -> None:
        sys.exit(code)

    def fail(self) -> None:
        raise RuntimeError("so it goes")

    def spin(self) -> None:
        while True:
            pass
