"""Arguments as the log may keep them, where the operator asked for it: shortened, secrets out.

By the names of members alone. A secret under a harmless name is not recognised, which is why
arguments are recorded only when asked for.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any, Final

from wassette_supervisor.audit.bounding import bounded, short_line

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_ARGUMENTS_BYTES: Final = 2048
MAX_TEXT_CHARACTERS: Final = 200

# Anywhere in a name that is folded to lower-case letters and digits.
_SECRET: Final = re.compile(
    "passw|passphrase|passcode|secret|token|credential|authori[sz]ation|cookie|bearer|signature"
    "|apikey|privatekey|accesskey|sessionid|connectionstring"
)
# As a word of its own, or as its end: `key`, `api_key`, `sshKeys`; not `keyword`, `author`.
_SECRET_WORD: Final = re.compile("(?:.*keys?|auth|pwd|pass|pin|otp|jwt|sid|sas|psk)")
_WORDS: Final = re.compile("[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_NAMED: Final = ("name", "key", "header", "field")


def redacted(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Bound a call's arguments, and take out what is named like a secret.

    Headers are looked into as well: `["authorization", …]` and `{"name": "cookie", "value": …}`.
    """
    return bounded(arguments, MAX_ARGUMENTS_BYTES, text=_shortened, hides=_hides)


def _shortened(text: str) -> str:
    if len(text) <= MAX_TEXT_CHARACTERS:
        return short_line(text)
    return f"{short_line(text[:MAX_TEXT_CHARACTERS])}… ({len(text)} characters)"


def _hides(container: Any, key: Any) -> bool:
    match container:
        case dict():
            named = key == "value" and any(is_secret(container.get(name)) for name in _NAMED)
            return named or is_secret(key)
        case [name, _]:
            return key == 1 and is_secret(name)
    return False


def is_secret(name: object) -> bool:
    """Whether this is what secrets are called; rather once too often."""
    if not isinstance(name, str):
        return False
    # Longer than any name, and so a value: what is in it is judged by its own name.
    words = _WORDS.findall(unicodedata.normalize("NFKC", name[:MAX_TEXT_CHARACTERS]))
    folded = [word.lower() for word in words]
    return bool(_SECRET.search("".join(folded))) or any(map(_SECRET_WORD.fullmatch, folded))
