"""A command that a person is asked to run, in words that a model may be shown."""

from __future__ import annotations

import os
import shlex
import urllib.parse

from wassette_supervisor import settings
from wassette_supervisor.errors import UsageError

# What is longer is no command that a person can judge; half of one would be another command.
MAX_WORD_CHARACTERS = 200
_PRINTABLE_ASCII = "".join(map(chr, range(0x21, 0x7F)))


def command(current: settings.Settings, *words: str) -> str:
    """Write the command line that does it, on the store that is in use."""
    name = settings.NAME
    if current.component_dir != _default("component_dir"):
        words = (*words, "--component-dir", str(current.component_dir))
    if current.state_dir != _default("state_dir", component_dir=current.component_dir):
        words = (*words, "--state-dir", str(current.state_dir))
    return " ".join([name, *map(_word, words)])


def ascii_uri(uri: str) -> str:
    """Write a URI in printable ASCII; it still names the same thing."""
    return urllib.parse.quote(uri, safe=_PRINTABLE_ASCII, errors="surrogatepass")


def _word(word: str) -> str:
    quoted = shlex.quote(word)
    shown = quoted.isascii() and quoted.isprintable() and len(quoted) <= MAX_WORD_CHARACTERS
    return quoted if shown else "… (too long or unusual to be shown here)"


def _default(setting: str, **flags: object) -> object:
    # Of the server's environment a person's shell shares what is no setting of its own.
    environ = {
        key: value for key, value in os.environ.items() if not key.startswith(settings.PREFIX)
    }
    try:
        return getattr(settings.load(flags, environ), setting)
    except UsageError:
        return None
