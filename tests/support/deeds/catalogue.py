"""What code that broke out of the engine would try; each deed under its name and kind."""

from __future__ import annotations

import errno
import json
import os
import signal
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    Act = Callable[["Scene"], object]

DONE = "done"


class Scene(msgspec.Struct, frozen=True):
    """What there is to be reached, as the process that tries sees it."""

    outside: str  # a folder of the same user's that was not granted, with the file `secret`
    store: str  # another one, with the file `record`
    inside: str  # the folder that was granted, if any was
    sibling: int  # a process of the same kind
    template: int  # their parent
    zygote: int
    supervisor: int
    tcp: int  # ports at which somebody listens, on the loopback device
    tcp6: int
    udp: int
    unix: str  # the path of a socket at which somebody listens
    abstract: str  # the name of another
    ctrl_alt_del: bool  # whether the keys start the machine anew


class Deed(NamedTuple):
    name: str
    kind: str
    act: Act


DEEDS: dict[str, Deed] = {}


def deed(kind: str) -> Callable[[Act], Act]:
    """Note the function as a deed of this kind; it raises OSError if it is refused."""

    def note(act: Act) -> Act:
        name = act.__name__.replace("_", "-")
        assert name not in DEEDS, name
        DEEDS[name] = Deed(name, kind, act)
        return act

    return note


def attempt(name: str, scene: Scene) -> str:
    """Do it: DONE, or the name of the error with which it was refused."""
    try:
        DEEDS[name].act(scene)
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    except MemoryError:
        return "ENOMEM"
    return DONE


def told(status: int) -> str:
    """How a process ended that gave no answer; `status` as of waitpid(2)."""
    if os.WIFSIGNALED(status):
        return signal.Signals(os.WTERMSIG(status)).name
    # What it became ended well.
    return DONE if os.WEXITSTATUS(status) == 0 else f"status {os.WEXITSTATUS(status)}"


def answer(outcome: str) -> bytes:
    return json.dumps({"result": outcome}).encode()


def asked(arguments: bytes) -> tuple[str, Scene]:
    """The deed that a call asks for, and where."""
    given: dict[str, Any] = json.loads(arguments)
    return given["deed"], msgspec.convert(given["scene"], Scene)
