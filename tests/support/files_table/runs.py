"""Runs a row of the table: what stands there, what is granted, and a call of a guest."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import anyio
import msgspec

from support.files_table import ROWS
from support.files_table.rows import (
    BOTH,
    GO,
    LATE,
    MEANWHILE,
    READY,
    Access,
    Host,
    Row,
    Step,
    in_order,
    ok,
)
from support.files_table.trees import GRANTED, SIGNALS, changed, plant, seen, uproot
from support.pools import granting
from support.processes import until
from wassette_supervisor.authority.files import files
from wassette_supervisor.errors import LimitExceededError
from wassette_supervisor.policy.effective import effective
from wassette_supervisor.policy.parsing import parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from support.pools import Component
    from wassette_supervisor.pool.grants import Grants
    from wassette_supervisor.pool.pool import Pool

PLAIN, EXACT = "plain", "exact"
C, PYTHON = "c", "python"
_IN_C = "test:files/script@0.1.0#run"
_BATCH = 12  # rows of one call: there is a limit on the patterns that it has
_SHORT_MS = 500  # for what never ends

# Exchanges two entries atomically (renameat2, RENAME_EXCHANGE), again and again.
_EXCHANGER = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
one, other = (os.fsencode(each) for each in sys.argv[1:])
print("ready", flush=True)
while True:
    libc.syscall(316 if os.uname().machine == "x86_64" else 276, -100, one, -100, other, 2)
"""


class Planted(NamedTuple):
    """A row in its folder."""

    row: Row
    folder: Path  # below it is what is granted, and what is not

    @property
    def signals(self) -> str:
        return f"{self.folder.name}/{SIGNALS}"

    def named(self, path: str) -> str:
        """A path of a rule, or one that the guest knows."""
        return path if path.startswith("/") else f"{self.folder.name}/{path}"


class Outcome(NamedTuple):
    answer: str
    left: dict[str, str]  # what is another on disk


class Guests(NamedTuple):
    """In a pool that all rows share."""

    pool: Pool
    components: dict[str, Component]

    async def does(self, planted: Sequence[Planted], by: str, mode: str) -> list[str]:
        """What came of each row, in one call; or the name of the limit that ended it."""
        grants = granted(planted, mode)
        try:
            if by == PYTHON:
                return await self._in_python(planted, grants)
            return await self._in_c(planted, grants)
        except LimitExceededError as error:
            return [error.limit] * len(planted)

    async def _in_c(self, planted: Sequence[Planted], grants: Grants) -> list[str]:
        scripts = [_script(each, grants) for each in planted]
        hosts = [(each, host) for each in planted for host in each.row.does.steps if callable(host)]
        tasks = anyio.create_task_group()
        async with tasks:
            tasks.start_soon(_act, hosts)
            try:
                answers = await self._call(C, _IN_C, {"scripts": scripts}, grants)
            except LimitExceededError as error:
                return [error.limit] * len(planted)
            finally:
                tasks.cancel_scope.cancel()
        return [
            _raced(each) if one.row.swaps else _outcome(each)
            for one, each in zip(planted, answers, strict=True)
        ]

    async def _in_python(self, planted: Sequence[Planted], grants: Grants) -> list[str]:
        attempts = [_attempt(each) for each in planted]
        answers = await self._call(PYTHON, "run", {"attempts": attempts}, grants)
        return [in_order(ok(each["text"])) if each["ok"] else each["text"] for each in answers]

    async def _call(
        self, by: str, called: str, arguments: object, grants: Grants
    ) -> list[dict[str, Any]]:
        outcome = await self.components[by].call(self.pool, called, json.dumps(arguments), grants)
        found: list[dict[str, Any]] = outcome.value["result"]
        return found


class Table:
    """All rows, each run with others in one call, when it is first asked for."""

    def __init__(self, guests: Guests, folder: Path) -> None:
        self._guests = guests
        self._folder = folder
        self._found: dict[tuple[int, str, str], Outcome] = {}
        self._batches = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        uproot(self._folder)  # deeper than others can delete it

    async def outcome(self, number: int, by: str, mode: str) -> Outcome:
        if (number, by, mode) not in self._found:
            batch = next(each for each in _batches(by, mode) if number in each)
            outcomes = await self._run(batch, by, mode)
            for each, outcome in zip(batch, outcomes, strict=True):
                self._found[each, by, mode] = outcome
        return self._found[number, by, mode]

    async def _run(self, batch: Sequence[int], by: str, mode: str) -> list[Outcome]:
        self._batches += 1
        workspace = self._folder / f"workspace-{self._batches}"
        workspace.mkdir()
        planted = [Planted(ROWS[each][1], workspace / f"row-{each}") for each in batch]
        for each in planted:
            each.folder.mkdir()
            plant(each.folder, each.row.disk)
        before = [seen(each.folder) for each in planted]
        with exchanging(planted[0]):
            answers = await self._guests.does(planted, by, mode)
        after = [seen(each.folder) for each in planted]
        return [
            Outcome(answer, changed(was, now))
            for answer, was, now in zip(answers, before, after, strict=True)
        ]


def _batches(by: str, mode: str) -> Iterator[Sequence[int]]:
    """Rows that one call has; alone: what takes all of its time, or is disturbed all the time."""
    rows = [
        (number, row)
        for number, (_, row) in enumerate(ROWS)
        if row.can_be and not (by == PYTHON and isinstance(row.python, str))
    ]
    yield from ([number] for number, row in rows if _is_alone(row, mode))
    others = [number for number, row in rows if not _is_alone(row, mode)]
    yield from (others[at : at + _BATCH] for at in range(0, len(others), _BATCH))


def _is_alone(row: Row, mode: str) -> bool:
    return row.swaps is not None or row.expected(mode) == LATE


def granted(planted: Sequence[Planted], mode: str) -> Grants:
    """What a policy of the rows' rules grants in this mode."""
    rules: dict[str, dict[str, Access]] = {"allow": {}, "deny": {}}
    for each in planted:
        grant = each.row.grant.plain if mode == PLAIN else each.row.grant
        rules["allow"][each.signals] = BOTH
        rules["allow"] |= {each.named(path): access for path, access in grant.allow.items()}
        rules["deny"] |= {each.named(path): access for path, access in grant.deny.items()}
    storage = {kind: [_rule(*each) for each in found.items()] for kind, found in rules.items()}
    if not storage["deny"]:
        del storage["deny"]
    policy = {"version": "1.0", "permissions": {"storage": storage}}
    right = effective(
        parse(json.dumps(policy).encode()).policy, None, None, str(planted[0].folder.parent)
    )
    given = files(right, (), plain_writes=mode == PLAIN)
    assert (given.why_exact is None) == (mode == PLAIN), given.why_exact
    assert not given.missing
    grants = granting(*given.directories)
    if all(each.row.expected(mode) != LATE for each in planted):
        return grants
    return replace(grants, limits=msgspec.structs.replace(grants.limits, wall_time_ms=_SHORT_MS))


def _rule(path: str, access: Access) -> dict[str, object]:
    return {"uri": f"fs://{path}", "access": access}


@contextmanager
def exchanging(planted: Planted) -> Iterator[None]:
    """Another process exchanges two entries meanwhile, if the row says so."""
    if planted.row.swaps is None:
        yield
        return
    paths = (str(planted.folder / GRANTED / each) for each in planted.row.swaps)
    command = [sys.executable, "-I", "-c", _EXCHANGER, *paths]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as other:  # noqa: S603 - ours
        try:
            assert other.stdout is not None
            other.stdout.readline()
            yield
        finally:
            other.kill()


async def _act(hosts: Sequence[tuple[Planted, Host]]) -> None:
    """Change what the rows say when the guest has come that far, and let it go on then."""
    for planted, host in hosts:
        ready = planted.folder / SIGNALS / READY
        await until(ready.exists, "the guest's signal")
        host(planted.folder / GRANTED)
        ready.rename(ready.with_name(GO))


def _script(planted: Planted, grants: Grants) -> list[dict[str, Any]]:
    names = [each.guest for each in grants.directories]
    given = names.index(planted.named(planted.row.grant.directory))
    signals, first = names.index(planted.signals), len(names)
    last, script = first - 1, []
    for step in planted.row.does.steps:
        numbers = (given, signals, first, last)
        if isinstance(step, Step):
            script.append(step.told(numbers))
            last += step.operation == "open"
        else:
            script += [each.told(numbers) for each in MEANWHILE]
    return script


def _attempt(planted: Planted) -> dict[str, object]:
    asked = planted.row.does.python
    assert asked is not None, f"say in the row why Python can't: {planted.row.name}"
    given = asked._asdict()
    for name in ("path", "to") if asked.operation in {"rename", "link"} else ("path",):
        if not given[name].startswith("/"):
            given[name] = planted.named(f"{planted.row.grant.directory}/{given[name]}")
    return given


def _outcome(answer: dict[str, str]) -> str:
    return in_order(ok(answer["ok"])) if "ok" in answer else answer["err"]


# Of wasi:filesystem/types.error-code, by their numbers there.
_NUMBERED = {0: "access", 15: "loop", 20: "no-entry", 31: "not-permitted"}
# A link that is there in one moment and gone in the next, too often: the guest may ask again.
_MAY_BE = {"loop"}


def _raced(answer: dict[str, str]) -> str:
    each = (
        _NUMBERED[int(line[1:])] if line.startswith("!") else line for line in answer["ok"].split()
    )
    return ok(", ".join(sorted(set(each) - _MAY_BE)))
