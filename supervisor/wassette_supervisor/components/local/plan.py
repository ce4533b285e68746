"""What to do about the files of a directory, given what is loaded; pure.

Planned anew after every look from all that is known then. So nothing has to be remembered of a
change that came in the middle of another, and whatever failed is planned again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from wassette_supervisor.components import names
from wassette_supervisor.errors import LoadError
from wassette_supervisor.store.noticed import MAX_TOOLS, Noticed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from wassette_protocol.frames import ComponentId, Digest
    from wassette_supervisor.store.noticed import Stamp
    from wassette_supervisor.store.record import Record


class File(NamedTuple):
    """A file that has settled; without a digest it was not read, and `why` says why not."""

    stem: str
    source: str  # its URI
    stamp: Stamp
    digest: Digest | None
    why: str = ""


class Checked(NamedTuple):
    """What came of compiling a file, or that it was unloaded by hand."""

    tools: tuple[str, ...] = ()
    refused: str = ""


# By source and stamp: a file that is touched is looked at anew.
Verdicts = Mapping[tuple[str, "Stamp"], Checked]


class Plan(NamedTuple):
    switched: list[Record]  # their file is gone; or there again, with their bytes
    check: list[File]  # to be compiled
    noticed: list[Noticed]


def plan(
    directory: str,
    present: Iterable[str],
    settled: Sequence[File],
    records: Mapping[ComponentId, Record],
    verdicts: Verdicts,
) -> Plan:
    """Settle what is to be done.

    Args:
        directory: Its URI.
        present: The sources of all regular files in it, settled or not.
        settled: Those that have settled, in the order of their names.
        records: What is loaded.
        verdicts: What is known of files that are not.
    """
    there = set(present)
    found = Plan([], [], [])
    for record in records.values():
        ours = record.local and record.source.rpartition("/")[0] == directory
        if ours and not record.away and record.source not in there:
            found.switched.append(record)
    taken: dict[ComponentId, str] = {record.id: record.source for record in records.values()}
    for file in settled:
        _judge(file, taken, records, verdicts, found)
    return found


def _judge(
    file: File,
    taken: dict[ComponentId, str],
    records: Mapping[ComponentId, Record],
    verdicts: Verdicts,
    found: Plan,
) -> None:
    try:
        component = names.component_id(file.stem)
    except LoadError as error:
        found.noticed.append(_refused(file, None, str(error)))
        return
    owner = taken.setdefault(component, file.source)
    record = records.get(component)
    if file.digest is None:
        found.noticed.append(_refused(file, component, file.why))
    elif owner != file.source:
        found.noticed.append(_refused(file, component, _taken(component, owner)))
    elif record is not None and record.digest == file.digest:
        if record.away:
            found.switched.append(record)
    elif (known := verdicts.get((file.source, file.stamp))) is None:
        found.check.append(file)
    elif known.refused:
        found.noticed.append(_refused(file, component, known.refused))
    else:
        found.noticed.append(_waiting(file, component, known.tools, record))


def _taken(component: ComponentId, owner: str) -> str:
    return (
        f"the id {component!r} is that of {owner}; give the file another name, or load it with "
        "`component load --name OTHER`"
    )


def _refused(file: File, component: ComponentId | None, why: str) -> Noticed:
    return Noticed(file.source, "refused", component, file.digest, file.stamp, reason=why)


def _waiting(
    file: File, component: ComponentId, tools: tuple[str, ...], record: Record | None
) -> Noticed:
    instead = f"; until then that of SHA-256 {record.digest} stays" if record else ""
    reason = f"a person has to allow it: `component approve {component}`{instead}"
    return Noticed(
        file.source, "waiting", component, file.digest, file.stamp, tools[:MAX_TOOLS], reason
    )
