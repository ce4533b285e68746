"""`settings`: each setting, and where it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wassette_supervisor.cli.output import emit

if TYPE_CHECKING:
    from wassette_supervisor.cli.arguments import Invocation
    from wassette_supervisor.settings import Shown


def show(invocation: Invocation) -> None:
    _, shown, file = invocation.settled
    answer = {
        "settings": [setting._asdict() for setting in shown],
        "file": {"path": str(file), "exists": file.exists()},
    }
    rows = [(setting.name, _value(setting), setting.where or setting.source) for setting in shown]
    emit(invocation.options, answer, ("setting", "value", "from"), rows)


def _value(setting: Shown) -> str:
    if setting.name.startswith("env."):
        return "(not shown)"
    if isinstance(setting.value, bool):
        return str(setting.value).lower()
    return "-" if setting.value is None else str(setting.value)
