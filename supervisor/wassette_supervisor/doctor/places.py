"""The files that a server works with: store, audit log, workspace, settings."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from wassette_supervisor.audit.folder import FOLDER
from wassette_supervisor.audit.verify import verify
from wassette_supervisor.components.faults import Faults, is_damaged
from wassette_supervisor.doctor.check import Check, Found, check, lacking, there
from wassette_supervisor.errors import AuditError, StoreError, UsageError, one_line
from wassette_supervisor.store.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from wassette_supervisor.settings import Settings

_MAX_NAMED = 3

_OWN = "a folder that only this user may write to"
_REPAIR = "run `component repair --all`"
_CEILING = "name a policy with --ceiling"


def checks(settings: Settings, settings_file: Path) -> list[Check]:
    store = settings.component_dir
    found = [_store(store), _entries(store), *_audit(store / FOLDER), *_given(settings)]
    # What is wrong in it would have been told before.
    is_there = settings_file.exists()
    file = there(one_line(f"{settings_file}{'' if is_there else ' is not there'}"))
    return [*found, check("settings file", file, "the defaults hold", "write one", in_use=is_there)]


# --- the store ------------------------------------------------------------------------------


def _store(root: Path) -> Check:
    fault = _fault(root)
    how = one_line(f"{root}{'' if root.exists() else ', made by the first load'}")
    found = lacking(fault) if fault else there(how)
    return check("store", found, "nothing is loaded or granted", _OWN, required=True)


def _fault(root: Path) -> str:
    """Why a folder can't be the store's; empty if it can."""
    shown = one_line(str(root))
    try:
        status = root.stat()
    except FileNotFoundError:
        above = next(folder for folder in root.parents if folder.exists())
        can_make = above.is_dir() and os.access(above, os.W_OK | os.X_OK)
        return "" if can_make else f"{shown} can't be made in {one_line(str(above))}"
    except OSError as error:
        return f"{shown} can't be looked at: {error.strerror}"
    if not root.is_dir():
        return f"{shown} is no folder"
    if status.st_mode & 0o022 or status.st_uid not in (os.geteuid(), 0):
        return f"others than this user may write to {shown}; run chmod go-w on it as its owner"
    if not os.access(root, os.R_OK | os.W_OK | os.X_OK):
        return f"this user may not write to {shown}"
    return ""


def _entries(root: Path) -> Check:
    try:
        found = _entries_of(Store(root))
    except StoreError as error:
        found = lacking(str(error))
    return check("store entries", found, "a damaged component does not run", _REPAIR, required=True)


def _entries_of(store: Store) -> Found:
    records = store.records()
    count = len(records) + len(store.damaged)
    faults = Faults(store)
    found = faults.all(records, store.damaged)
    compiled = faults.of_compiled_code()
    for record in records.values():
        if record.digest in compiled:
            found.setdefault(record.id, []).append(compiled[record.digest])
    damaged = {name: each for name, each in sorted(found.items()) if is_damaged(each)}
    if not damaged:
        held = len(found)
        return there(f"{count}, none damaged" + (f", {held} held by a policy" if held else ""))
    named = [f"{name}: {each[0].part}: {each[0].why}" for name, each in damaged.items()]
    what = one_line("; ".join(named[:_MAX_NAMED]))
    return lacking(f"{len(damaged)} damaged of {count}; run `component repair --all`: {what}")


# --- the audit log --------------------------------------------------------------------------


def _audit(folder: Path) -> list[Check]:
    lost = "nothing is done unrecorded"
    if not folder.exists():
        return [check("audit log", there("nothing is on record yet"), lost, _OWN, required=True)]
    shown = one_line(str(folder))
    writable = folder.is_dir() and os.access(folder, os.R_OK | os.W_OK | os.X_OK)
    found = there(shown) if writable else lacking(f"this user may not write to {shown}")
    return [check("audit log", found, lost, _OWN, required=True), _chain(folder)]


def _chain(folder: Path) -> Check:
    try:
        verified = verify(folder)
    except AuditError as error:
        found = lacking(str(error))
    else:
        found = there(f"{verified.entries} entries, all in their places")
        if verified.problems:
            file, line, what = verified.problems[0]
            where = ":".join(filter(None, (file, str(line or "")))) or "the log"
            count = len(verified.problems)
            found = lacking(f"{count} problems; `audit verify` shows all: {where}: {what}")
    lost, remedy = "a lost record would not show", "restore it from a copy kept elsewhere"
    return check("audit chain", found, lost, remedy, required=True)


# --- what was named -------------------------------------------------------------------------


def _given(settings: Settings) -> list[Check]:
    from wassette_supervisor.app import granter  # noqa: PLC0415 - above everything but commands

    found = []
    lost = "policies have no common bound"
    try:
        giver = granter(settings)
        if settings.ceiling is not None:
            ceiling = there(one_line(str(settings.ceiling)))
            found = [check("ceiling", ceiling, lost, _CEILING, required=True)]
    except UsageError as error:
        found = [check("ceiling", lacking(str(error)), lost, _CEILING, required=True)]
        giver = granter(msgspec.structs.replace(settings, ceiling=None))
    return [
        *found,
        check(
            "workspace",
            _workspace(giver.workspace),
            "rules of fs://PATH are refused",
            "name a folder with --workspace",
        ),
    ]


def _workspace(path: str | None) -> Found:
    if path is None:
        return lacking("the current directory can't be one: name another with --workspace")
    is_folder = os.path.isdir(path)  # noqa: PTH112 - it is a text
    return there(one_line(path)) if is_folder else lacking(one_line(f"{path} is no folder"))
