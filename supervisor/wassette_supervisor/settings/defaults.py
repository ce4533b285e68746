"""What settings are that nobody set."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    # Of what was found so far, parsed and by name, and of the environment.
    Default = Callable[[Mapping[str, Any], Mapping[str, str]], Any]

NAME = "wassette-supervisor"
MAX_WORKERS = 256


def always(value: object) -> Default:
    return lambda _found, _environ: value


def store_folder(_: Mapping[str, Any], environ: Mapping[str, str]) -> Path:
    return xdg_folder(environ, "XDG_DATA_HOME", ".local/share") / NAME


def state_folder(found: Mapping[str, Any], environ: Mapping[str, str]) -> Path:
    # Another store than the usual one may have other components of the same ids.
    store: Path = found["component-dir"]
    if store != store_folder(found, environ):
        return store / "state"
    return xdg_folder(environ, "XDG_STATE_HOME", ".local/state") / NAME / "state"


def processors(_: Mapping[str, Any], __: Mapping[str, str]) -> int:
    # Other systems don't tell which of them this process may use.
    known = hasattr(os, "sched_getaffinity")
    return min(len(os.sched_getaffinity(0)) if known else os.cpu_count() or 1, MAX_WORKERS)


def four_each(found: Mapping[str, Any], _: Mapping[str, str]) -> int:
    return 4 * int(found["max-workers"])


def xdg_folder(environ: Mapping[str, str], variable: str, under_home: str) -> Path:
    # The XDG specification has a relative path in these variables ignored.
    path = Path(environ.get(variable, ""))
    return path if path.is_absolute() else Path(environ.get("HOME") or Path.home()) / under_home
