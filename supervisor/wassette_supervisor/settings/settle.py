"""Settling the settings: the strongest source of each, every source checked.

A value that a stronger source overrides is checked like any other, so that a mistake shows when
it is made and not when the flag is left out one day.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, NamedTuple

from wassette_protocol.capabilities import Limits
from wassette_supervisor.errors import UsageError, one_line
from wassette_supervisor.limits import LIMITS
from wassette_supervisor.settings import env_file
from wassette_supervisor.settings.kinds import Named
from wassette_supervisor.settings.limit_defaults import LIMIT_DEFAULTS, MAX_LIMIT_DEFAULTS
from wassette_supervisor.settings.model import Environment, MaxLimits, Settings
from wassette_supervisor.settings.sources import (
    Given,
    Source,
    config_file,
    from_environment,
    from_file,
    from_flags,
)
from wassette_supervisor.settings.table import (
    PREFIX,
    SETTINGS,
    kind_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_DEFAULT = Source("default")
_VISIBLE = [
    name
    for setting in SETTINGS.values()
    for name in (
        [f"{setting.name}.{member}" for member in setting.kind.kinds]
        if isinstance(setting.kind, Named)
        else [setting.name]
    )
]
# Of a setting without members; what the env-file says is in `environment`.
_FIELDS = {
    name: "approval_timeout_ms" if name == "approval-timeout" else name.replace("-", "_")
    for name, setting in SETTINGS.items()
    if not isinstance(setting.kind, Named) and name != "env-file"
}
_Found = dict[str, Given]  # by key; the values parsed


class Shown(NamedTuple):
    """A value as the file takes it, and where it is from; one of `env` is never shown."""

    name: str  # with a member as `limit.memory`, as TOML has it
    value: str | int | bool | None
    source: str  # flag, variable, file, env-file or default
    where: str | None  # which flag, variable or file


class Settled(NamedTuple):
    settings: Settings
    shown: list[Shown]
    file: Path


def load(flags: Mapping[str, object], environ: Mapping[str, str]) -> Settings:
    """Settle all settings; see `settle`."""
    return settle(flags, environ).settings


def settle(flags: Mapping[str, object], environ: Mapping[str, str]) -> Settled:
    """Settle all settings, and keep where each is from.

    Args:
        flags: By name, with dashes or underscores; None is a flag that was not given. A setting
            with members, as `limit`, is a list of `NAME=VALUE`.
        environ: The environment; says also where the file is.

    Raises:
        UsageError: A setting is unknown or its value can't be used; names it and its source.
    """
    file = config_file(environ)
    by_flag = _checked(from_flags(flags))
    found = _checked(from_file(file)) | _checked(from_environment(environ)) | by_flag
    found |= _of_env_file(found) | {key: by_flag[key] for key in by_flag if key.startswith("env.")}
    _settle_limits(found)
    _settle_rest(found, environ)
    return Settled(_settings(found), _shown(found), file)


def _checked(given: Iterable[Given]) -> _Found:
    found = {}
    for key, value, source in given:
        kind = kind_of(key)
        if kind is None:
            raise UsageError(_unknown(key, source))
        try:
            found[key] = Given(key, kind.parse(value), source)
        except ValueError as error:
            instead = "" if _is_hidden(key) else f", not {one_line(repr(value))}"
            where = one_line(source.written(key))
            raise UsageError(f"{where}: should be {error}{instead}") from error
    return found


def _is_hidden(key: str) -> bool:
    setting = SETTINGS.get(key.partition(".")[0])
    return setting is not None and isinstance(setting.kind, Named) and setting.kind.hidden


def _unknown(key: str, source: Source) -> str:
    if _is_hidden(key):
        # The key isn't shown either: of an address with a password in it this is the first half.
        name = source.written(key.partition(".")[0])
        return f"{name}: a key should be of letters, digits and _, with no digit first"
    looked_for = key.removeprefix(PREFIX).lower().replace("_", "-")
    near = difflib.get_close_matches(looked_for, _VISIBLE, n=1, cutoff=0.5)
    instead = f"did you mean {one_line(source.written(near[0]))}?" if near else _all_names()
    return f"{one_line(source.written(key))}: there is no such setting; {instead}"


def _all_names() -> str:
    members = {
        setting.name: f" ({', '.join(setting.kind.kinds)})"
        for setting in SETTINGS.values()
        if isinstance(setting.kind, Named) and setting.kind.kinds
    }
    return "there are " + ", ".join(name + members.get(name, "") for name in SETTINGS)


def _of_env_file(found: _Found) -> _Found:
    given = found.get("env-file")
    if given is None:
        return {}
    source = Source("env-file", str(given.value))
    return {
        f"env.{key}": Given(f"env.{key}", value, source)
        for key, value in env_file.read(given.value).items()
    }


def _settle_limits(found: _Found) -> None:
    """Add limits that were not given; where only one of a limit and its maximum was, it rules."""
    for key, default in LIMIT_DEFAULTS.items():
        found.setdefault(key, Given(key, default, _DEFAULT))
    for key, default in MAX_LIMIT_DEFAULTS.items():
        limit = found[key.removeprefix("max-")]
        highest = found.setdefault(key, Given(key, default, _DEFAULT))
        if limit.value <= highest.value:
            continue
        if highest.source == _DEFAULT:
            found[key] = Given(key, limit.value, limit.source)
        elif limit.source == _DEFAULT:
            found[limit.key] = Given(limit.key, highest.value, highest.source)
        else:
            raise UsageError(
                f"{one_line(limit.source.written(limit.key))}: is above "
                f"{one_line(highest.source.written(key))}; lower the one or raise the other"
            )


def _settle_rest(found: _Found, environ: Mapping[str, str]) -> None:
    for name, setting in SETTINGS.items():
        if name not in found and not isinstance(setting.kind, Named):
            values = {key: given.value for key, given in found.items()}
            found[name] = Given(name, setting.default(values, environ), _DEFAULT)


def _settings(found: _Found) -> Settings:
    def members(setting: str) -> dict[str, Any]:
        prefix = f"{setting}."
        return {
            key.removeprefix(prefix): given.value
            for key, given in found.items()
            if key.startswith(prefix)
        }

    def limits(setting: str) -> dict[str, Any]:
        return {LIMITS[name].field: value for name, value in members(setting).items()}

    plain = {field: found[name].value for name, field in _FIELDS.items()}
    return Settings(
        environment=Environment(members("env")),
        limits=Limits(**limits("limit")),
        max_limits=MaxLimits(**limits("max-limit")),
        **plain,
    )


def _shown(found: _Found) -> list[Shown]:
    order = list(SETTINGS)
    keys = sorted(found, key=lambda key: order.index(key.partition(".")[0]))
    return [_show(found[key]) for key in keys]


def _show(given: Given) -> Shown:
    key, value, source = given
    kind = kind_of(key)
    if kind is None or value is None or _is_hidden(key):
        return Shown(key, None, source.kind, source.at(key))
    return Shown(key, kind.show(value), source.kind, source.at(key))
