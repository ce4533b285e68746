"""An ordinary Python program: nothing in it knows of agents, tools or sandboxes."""

from pathlib import Path

import wit_world
from componentize_py_types import Err


class WitWorld(wit_world.WitWorld):
    def greet(self, name: str) -> str:
        return f"Hello, {name}! This is Python, inside WebAssembly."

    def word_count(self, text: str) -> wit_world.Counts:
        return wit_world.Counts(
            lines=len(text.splitlines()), words=len(text.split()), characters=len(text)
        )

    def read_note(self, path: str) -> str:
        try:
            return Path(path).read_text(encoding="utf-8")
        except OSError as error:
            raise Err(f"can't read {path}: {error.strerror}") from error
