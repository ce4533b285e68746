"""What flags, the environment and the file say of settings: keys and values, not parsed yet."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from wassette_supervisor.errors import UsageError, one_line
from wassette_supervisor.settings.defaults import NAME, xdg_folder
from wassette_supervisor.settings.kinds import Named
from wassette_supervisor.settings.table import PREFIX, SETTINGS, Setting

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

MAX_FILE_BYTES = 1 << 20
_VARIABLES = {setting.variable: setting for setting in SETTINGS.values()}


class Source(NamedTuple):
    """Where a value comes from; the file is that of `file` and `env-file`."""

    kind: Literal["flag", "variable", "file", "env-file", "default"]
    file: str = ""

    def written(self, key: str) -> str:
        """Write a key as it stands in this source, for a message."""
        name, _, member = key.partition(".")
        match self.kind:
            case "flag":
                return f"--{name} {member}".rstrip()
            case "variable" if name in SETTINGS:
                return (f"{member} in " if member else "") + SETTINGS[name].variable
            case "file" | "env-file":
                return f"{self.in_file(key)} in {self.file}"
            case _:
                return key

    def at(self, key: str) -> str | None:
        """Name the flag, the variable or the file that it is."""
        name = key.partition(".")[0]
        match self.kind:
            case "flag":
                return SETTINGS[name].option
            case "variable":
                return SETTINGS[name].variable
            case _:
                return self.file or None

    @staticmethod
    def in_file(key: str) -> str:
        name, dot, member = key.partition(".")
        return f"[{name}] {member}" if dot and name in SETTINGS else key


class Given(NamedTuple):
    key: str  # NAME or NAME.MEMBER, or what was written in its place
    value: Any
    source: Source


def config_file(environ: Mapping[str, str]) -> Path:
    return xdg_folder(environ, "XDG_CONFIG_HOME", ".config") / NAME / "config.toml"


# --- flags ----------------------------------------------------------------------------------


def from_flags(flags: Mapping[str, object]) -> Iterator[Given]:
    """Read flags, by name with dashes or underscores; None is one that was not given."""
    source = Source("flag")
    for flag, value in flags.items():
        name = flag.replace("_", "-")
        setting = SETTINGS.get(name)
        if value is None:
            continue
        if setting and isinstance(setting.kind, Named) and isinstance(value, list | tuple):
            yield from _members(setting, value, source)
        else:
            yield Given(name, value, source)


def _members(setting: Setting, entries: Iterable[object], source: Source) -> Iterator[Given]:
    hidden = isinstance(setting.kind, Named) and setting.kind.hidden
    for entry in entries:
        name, equals, value = str(entry).partition("=")
        if not equals:
            form = setting.kind.placeholder
            where = source.written(setting.name)
            instead = "" if hidden else f", not {one_line(repr(entry))}"
            raise UsageError(f"{where}: should be {form}, as {setting.example}{instead}")
        if not hidden:
            name, value = name.strip(), value.strip()
        yield Given(f"{setting.name}.{name}", value, source)


# --- the environment ------------------------------------------------------------------------


def from_environment(environ: Mapping[str, str]) -> Iterator[Given]:
    """Read the variables with our prefix.

    Raises:
        UsageError: One stands for a setting that isn't taken from a variable.
    """
    source = Source("variable")
    for variable, value in environ.items():
        setting = _VARIABLES.get(variable)
        if not variable.startswith(PREFIX):
            continue
        if setting is None:
            yield Given(variable, value, source)
        elif not setting.in_variable:
            raise UsageError(
                f"{variable}: not taken from a variable, because a value may hold any separator; "
                f"write {setting.option} {setting.kind.placeholder}, or [{setting.name}] in "
                f"{config_file(environ)}"
            )
        elif isinstance(setting.kind, Named):
            yield from _members(setting, filter(None, value.split(",")), source)
        else:
            yield Given(setting.name, value, source)


# --- the file -------------------------------------------------------------------------------


def from_file(file: Path) -> Iterator[Given]:
    """Read the configuration file, if it is there.

    Raises:
        UsageError: It can't be read, or isn't TOML, or a table is missing.
    """
    source = Source("file", str(file))
    for name, value in _toml(file).items():
        setting = SETTINGS.get(name)
        if setting is None or not isinstance(setting.kind, Named):
            yield Given(name, value, source)
        elif isinstance(value, dict):
            yield from (Given(f"{name}.{key}", member, source) for key, member in value.items())
        else:
            key, _, example = setting.example.partition("=")
            raise UsageError(
                f'{name} in {file}: should be a table, as [{name}] with {key} = "{example}"'
            )


def _toml(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_FILE_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise UsageError(
            f"{file}: can't be read ({error.strerror}); make it readable, or remove it"
        ) from error
    if len(content) > MAX_FILE_BYTES:
        raise UsageError(f"{file}: more than 1 MiB; settings need less")
    try:
        return tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{file}: not TOML: {one_line(str(error))}; correct that line") from error
