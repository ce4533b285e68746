"""`doctor`: what this system has of what the sandbox needs, and what of it is in use."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import anyio

from wassette_supervisor.cli import logs
from wassette_supervisor.cli.output import emit
from wassette_supervisor.doctor import mechanisms, places, trial
from wassette_supervisor.errors import SupervisorError, one_line

if TYPE_CHECKING:
    from wassette_supervisor.cli.arguments import Invocation
    from wassette_supervisor.doctor.check import Check

_WIDTH = 36  # of the last column


class UnfitError(SupervisorError):
    """Something that is required doesn't hold."""

    def __init__(self, lacking: list[Check]) -> None:
        names = ", ".join(check.name for check in lacking)
        super().__init__(
            f"what is required doesn't hold: {names} ({one_line(lacking[0].how)}); until it does: "
            f"{lacking[0].lost_without}"
        )


def doctor(invocation: Invocation) -> None:
    """Try everything out, and show it.

    Raises:
        UnfitError: Something that is required doesn't hold.
    """
    settings = invocation.settings
    logs.configure(settings, quiet=True)
    seen = anyio.run(trial.run, settings)
    checks = mechanisms.checks(settings, seen) + places.checks(settings, invocation.settled.file)
    lacking = [check for check in checks if check.required and not check.holds]
    answer = {"checks": [check._asdict() for check in checks], "ok": not lacking}
    headings = ("what", "there", "in use", "without it")
    emit(invocation.options, answer, headings, [row for check in checks for row in _rows(check)])
    if lacking:
        raise UnfitError(lacking)


def _rows(check: Check) -> list[tuple[str, str, str, str]]:
    """A line; where something is amiss the ones below say why."""
    name = " ".join(filter(None, (check.name, check.detail)))
    rows = [(name, _word(holds=check.available), _word(holds=check.in_use), check.lost_without)]
    if not check.available or (check.required and not check.in_use):
        told = (f"({check.how})", f"to have it: {check.remedy}")
        rows += [("", "", "", line) for text in told for line in textwrap.wrap(text, _WIDTH)]
    return rows


def _word(*, holds: bool) -> str:
    return "yes" if holds else "no"
