"""Settings: a flag, else the environment, else the file, else the default; unknown ones refused.

A value that a stronger source overrides is checked like any other, so that a mistake shows when
it is made and not when the flag is left out one day.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from wassette_protocol.capabilities import Limits
from wassette_supervisor.errors import UsageError, one_line
from wassette_supervisor.limits import LIMITS
from wassette_supervisor.quantities import whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

NAME = "wassette-supervisor"
PREFIX = "WASSETTE_SUPERVISOR_"
MAX_WORKERS = 256


class Settings(msgspec.Struct, frozen=True):
    component_dir: Path
    max_workers: int  # calls running at once
    queue: int  # calls waiting; beyond it a call is refused as busy
    isolation: Literal["fork", "exec"]
    approve: Literal["ask", "deny", "allow"]
    disable_builtin_tools: bool
    log_level: Literal["debug", "info", "warning", "error"]
    log_format: Literal["text", "json"]
    limits: Limits


def load(flags: Mapping[str, object], environ: Mapping[str, str]) -> Settings:
    """Settle all settings.

    Args:
        flags: By name, with dashes or underscores; None is a flag that was not given. `limit` is
            a list of `NAME=VALUE`.
        environ: The environment; says also where the file is.

    Raises:
        UsageError: A setting is unknown or its value can't be used; names it and its source.
    """
    file = _base(environ, "XDG_CONFIG_HOME", ".config") / NAME / "config.toml"
    found = (
        _checked(_from_file(file), lambda key: f"{_in_file(key)} in {file}")
        | _checked(_from_environment(environ), _as_variable)
        | _checked(_from_flags(flags), _as_flag)
    )
    limits = {
        limit.field: found.pop(f"limit.{name}")
        for name, limit in LIMITS.items()
        if f"limit.{name}" in found
    }
    settings = {key.replace("-", "_"): value for key, value in found.items()}
    return Settings(limits=Limits(**limits), **(_defaults(settings, environ) | settings))


def _defaults(settings: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    max_workers = settings.get("max_workers", min(len(os.sched_getaffinity(0)), MAX_WORKERS))
    return {
        "component_dir": _base(environ, "XDG_DATA_HOME", ".local/share") / NAME,
        "max_workers": max_workers,
        "queue": 4 * max_workers,
        "isolation": "fork",
        "approve": "ask",
        "disable_builtin_tools": False,
        "log_level": "info",
        "log_format": "text",
    }


def _base(environ: Mapping[str, str], variable: str, under_home: str) -> Path:
    # The XDG specification has a relative path in these variables ignored.
    path = Path(environ.get(variable, ""))
    return path if path.is_absolute() else Path(environ.get("HOME") or Path.home()) / under_home


# --- what a value may be --------------------------------------------------------------------
#
# Each raises ValueError with what it expects.


def _one_of(*names: str) -> Callable[[object], str]:
    def parse(value: object) -> str:
        if not isinstance(value, str) or value not in names:
            raise ValueError(f"{', '.join(names[:-1])} or {names[-1]}")
        return value

    return parse


def _boolean(value: object) -> bool:
    found = {"true": True, "1": True, "false": False, "0": False}.get(str(value).lower())
    if found is None:
        raise ValueError("true or false")
    return found


def _directory(value: object) -> Path:
    if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
        raise ValueError("the path of a directory")
    try:
        return Path(value).expanduser().absolute()
    except RuntimeError as error:  # ~name of nobody
        raise ValueError("the path of a directory") from error


# --- the settings ---------------------------------------------------------------------------


_SETTINGS: dict[str, Callable[[object], object]] = {
    "component-dir": _directory,
    "max-workers": whole(1, MAX_WORKERS),
    "queue": whole(0, 100_000),
    "isolation": _one_of("fork", "exec"),
    "approve": _one_of("ask", "deny", "allow"),
    "disable-builtin-tools": _boolean,
    "log-level": _one_of("debug", "info", "warning", "error"),
    "log-format": _one_of("text", "json"),
}
_KEYS = _SETTINGS | {f"limit.{name}": limit.parse for name, limit in LIMITS.items()}


# --- where they come from -------------------------------------------------------------------

_Given = tuple[str, object]  # a key of _KEYS, or what was written in its place, and the value


def _checked(given: Iterable[_Given], written: Callable[[str], str]) -> dict[str, Any]:
    """Parse what one source gives; `written` is how a key is written there."""
    found = {}
    for key, value in given:
        where = one_line(written(key))
        if key not in _KEYS:
            near = difflib.get_close_matches(key, _KEYS, n=1, cutoff=0.5)
            instead = f"did you mean {written(near[0])}?" if near else _all_keys()
            raise UsageError(f"{where}: there is no such setting; {instead}")
        try:
            found[key] = _KEYS[key](value)
        except ValueError as error:
            raise UsageError(f"{where}: should be {error}, not {one_line(repr(value))}") from error
    return found


def _all_keys() -> str:
    return f"there are {', '.join(_SETTINGS)} and limit ({', '.join(LIMITS)})"


def _from_flags(flags: Mapping[str, object]) -> Iterator[_Given]:
    for name, value in flags.items():
        key = name.replace("_", "-")
        if value is None:
            continue
        if key == "limit" and isinstance(value, list | tuple):
            yield from _split_limits(value, "--limit")
        else:
            yield key, value


def _from_environment(environ: Mapping[str, str]) -> Iterator[_Given]:
    for variable, value in environ.items():
        key = variable.removeprefix(PREFIX).lower().replace("_", "-")
        if variable == f"{PREFIX}LIMIT":
            yield from _split_limits(filter(None, value.split(",")), variable)
        elif variable.startswith(PREFIX):
            yield key, value


def _split_limits(entries: Iterable[object], where: str) -> Iterator[_Given]:
    for entry in entries:
        name, equals, value = str(entry).partition("=")
        if not equals:
            raise UsageError(
                f"{where}: should be NAME=VALUE, as memory=64Mi, not {one_line(repr(entry))}"
            )
        yield f"limit.{name.strip()}", value.strip()


def _from_file(file: Path) -> Iterator[_Given]:
    for key, value in _toml(file).items():
        if key == "limit" and isinstance(value, dict):
            yield from ((f"limit.{name}", limit) for name, limit in value.items())
        elif key == "limit":
            raise UsageError(f'limit in {file}: should be a table, as [limit] with memory = "64Mi"')
        else:
            yield key, value


def _toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise UsageError(
            f"{file}: can't be read ({error.strerror}); make it readable, or remove it"
        ) from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{file}: not TOML: {one_line(str(error))}; correct that line") from error


def _as_flag(key: str) -> str:
    return "--" + key.replace("limit.", "limit ")


def _as_variable(key: str) -> str:
    if key.startswith("limit."):
        return f"{key.removeprefix('limit.')} in {PREFIX}LIMIT"
    return PREFIX + key.replace("-", "_").upper()


def _in_file(key: str) -> str:
    return key.replace("limit.", "[limit] ")
