"""The reference page of the settings, as Markdown: `python -m wassette_supervisor.settings.page`.

Its output is `docs/settings.md`.
"""

from __future__ import annotations

import sys
import textwrap

from wassette_supervisor.limits import LIMITS
from wassette_supervisor.settings.defaults import NAME
from wassette_supervisor.settings.kinds import Kind, Named
from wassette_supervisor.settings.limit_defaults import LIMIT_DEFAULTS, MAX_LIMIT_DEFAULTS
from wassette_supervisor.settings.table import (
    SETTINGS,
    Setting,
)

_HEAD = f"""# Settings

<!-- Written by `python -m wassette_supervisor.settings.page`; don't edit. -->

Each setting is a flag, and may stand before or after the command. Most are taken from the
environment too, and all from the file `$XDG_CONFIG_HOME/{NAME}/config.toml`
(`~/.config/{NAME}/config.toml` where that variable isn't set). A flag beats the
environment, which beats the file, which beats the default.

- An unknown setting, or a value that can't be used, is an error with its source; also where a
  stronger source overrides it.
- Of a setting with members, as `--limit NAME=VALUE`, each member is settled for itself. As a flag
  it may be repeated; in the environment commas stand between the members; in the file it is a
  table.
- A size is a number of bytes, or has `Ki`, `Mi` or `Gi` behind it; a time has `ms`, `s`, `m` or
  `h`.
- A relative path is one below the current directory; a leading `~` is the home directory.

`{NAME} settings` shows each value, and where it comes from.
"""


def page() -> str:
    return "\n".join([_HEAD, *map(_section, SETTINGS.values())])


def _section(setting: Setting) -> str:
    shown = f"{setting.option} {setting.kind.placeholder}".strip()
    sentence = f"{setting.help[0].upper()}{setting.help[1:]}."
    lines = [f"## `{shown}`", "", sentence, "", *_wrapped(setting.more), ""]
    if isinstance(setting.kind, Named) and setting.kind.kinds:
        lines += [*_members(setting.name, setting.kind), ""]
    else:
        lines += [f"- Default: {setting.default_text}"]
    return "\n".join([*lines, *_sources(setting), ""])


def _sources(setting: Setting) -> list[str]:
    scope = "`run` alone" if setting.run_only else "every command"
    variable = f"`{setting.variable}={setting.example}`" if setting.in_variable else "no"
    return [f"- Variable: {variable}", f"- File: {in_file(setting)}", f"- For: {scope}"]


def in_file(setting: Setting) -> str:
    name, equals, text = setting.example.partition("=")
    if not equals:
        return f"`{setting.name} = {_toml(setting.kind, setting.example)}`"
    kind = setting.kind.kind_of(name) if isinstance(setting.kind, Named) else None
    return f"`[{setting.name}]` with `{name} = {_toml(kind, text)}`"


def _toml(kind: Kind | Named | None, text: str) -> str:
    value = kind.show(kind.parse(text)) if isinstance(kind, Kind) else text
    return str(value).lower() if isinstance(value, bool | int) else f'"{text}"'


def _members(name: str, kind: Named) -> list[str]:
    defaults = LIMIT_DEFAULTS | MAX_LIMIT_DEFAULTS
    rows = [
        f"| `{member}` | {LIMITS[member].text(defaults[f'{name}.{member}'])} |"
        for member in kind.kinds
    ]
    return ["| Name | Default |", "|---|---|", *rows]


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, 100, break_long_words=False, break_on_hyphens=False)


if __name__ == "__main__":
    sys.stdout.write(page())
