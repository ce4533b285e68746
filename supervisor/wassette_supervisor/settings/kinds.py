"""What the value of a setting may be; each parser raises ValueError with what it expects."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from wassette_supervisor.quantities import duration, duration_text, size, size_text, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ENVIRONMENT_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
MAX_UID = (1 << 32) - 2  # the one above is the kernel's "no uid"
_UID = whole(1, MAX_UID)
_TIME = duration()
_PORT = whole(1, 65535)
_SERVER = re.compile(r"(?:\[([^]]*)\]|([^:\[\]]*))(?::([0-9]{1,5}))?")
LOCAL_MODES = ("off", "startup", "watch")


def _as_it_is(value: Any) -> Any:
    return value


class Kind(NamedTuple):
    """A single value; `show` writes it as the file takes it, which `parse` reads back."""

    placeholder: str  # in help; a switch has none
    parse: Callable[[object], Any]
    show: Callable[[Any], str | int | bool | None] = _as_it_is
    choices: tuple[str, ...] = ()


class Named(NamedTuple):
    """Values by name: as a flag repeatable, in the file a table.

    Without `kinds` any name of an environment variable will do, its value is text, and no
    message shows a value.
    """

    placeholder: str
    kinds: Mapping[str, Kind]

    @property
    def hidden(self) -> bool:
        return not self.kinds

    def kind_of(self, name: str) -> Kind | None:
        if self.hidden:
            return TEXT if ENVIRONMENT_KEY.fullmatch(name) else None
        return self.kinds.get(name)


def one_of(placeholder: str, *names: str) -> Kind:
    def parse(value: object) -> str:
        if not isinstance(value, str) or value not in names:
            raise ValueError(f"{', '.join(names[:-1])} or {names[-1]}")
        return value

    return Kind(placeholder, parse, choices=names)


def number(low: int, high: int) -> Kind:
    return Kind("N", whole(low, high))


def path(placeholder: str, expected: str) -> Kind:
    def parse(value: object) -> Path:
        if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
            raise ValueError(expected)
        try:
            return Path(value).expanduser().absolute()
        except RuntimeError as error:  # ~name of nobody
            raise ValueError(expected) from error

    return Kind(placeholder, parse, str)


def _local(value: object) -> Path:
    # Elsewhere a flag of this name takes the mode.
    if value in LOCAL_MODES:
        raise ValueError("a directory; --local-mode takes the mode")
    found: Path = DIRECTORY.parse(value)
    return found


def _switch(value: object) -> bool:
    found = {"true": True, "1": True, "false": False, "0": False}.get(str(value).lower())
    if found is None:
        raise ValueError("true or false")
    return found


def _text(value: object) -> str:
    # execve(2) ends a value at its first zero byte.
    if not isinstance(value, str) or "\0" in value:
        raise ValueError("text without a zero byte")
    return value


def _patience(value: object) -> int:
    milliseconds = _TIME(value)
    if milliseconds < 1000:
        raise ValueError("a time from 1s to 1h, as 30s or 2m")
    return milliseconds


def _user(value: object) -> int:
    expected = f"a user of this system other than root, by name or as a number up to {MAX_UID}"
    if isinstance(value, str) and not value.isdecimal():
        try:
            import pwd  # noqa: PLC0415 - of Unix, and a policy is checked elsewhere as well

            value = pwd.getpwnam(value).pw_uid
        except (KeyError, ValueError) as error:  # a zero byte is the latter
            raise ValueError(expected) from error
    try:
        return _UID(value)
    except ValueError as error:
        raise ValueError(expected) from error


def _name_server(value: object) -> str:
    found = _SERVER.fullmatch(value) if isinstance(value, str) else None
    expected = "an address, as 127.0.0.1, 127.0.0.1:5353 or [::1]:5353"
    if found is None:
        raise ValueError(expected)
    try:
        port = _PORT(found[3] or "53")
        if found[1] is None:
            return f"{IPv4Address(found[2])}:{port}"
        address = IPv6Address(found[1])
    except ValueError as error:
        raise ValueError(expected) from error
    if address.scope_id is not None:
        raise ValueError(f"{expected}, without a zone")
    return f"[{address}]:{port}"


SIZE = Kind("SIZE", size(1 << 40), size_text)
SWITCH = Kind("", _switch)
TEXT = Kind("VALUE", _text)
PATIENCE = Kind("TIME", _patience, duration_text)
USER = Kind("USER", _user)
NAME_SERVER = Kind("ADDRESS", _name_server)
DIRECTORY = path("DIR", "the path of a directory")
FILE = path("FILE", "the path of a file")
LOCAL_DIRECTORY = Kind("DIR", _local, str)
