"""Whether the audit log is whole: every line, their order, its start and its end.

A chain shows damage. It does not show what the owner of the files, or root, rewrote from some line
on with all hashes made anew: nothing in the folder is out of that user's reach.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from wassette_supervisor.audit.entry import START, Entry, Event
from wassette_supervisor.audit.folder import HEAD, Head, explained, parse_head
from wassette_supervisor.audit.lines import Region, pieces
from wassette_supervisor.audit.snapshot import snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from wassette_supervisor.audit.lines import Piece

MAX_PROBLEMS: Final = 1000  # a log in which every line is damaged has half a million


class Problem(NamedTuple):
    file: str
    line: int  # from 1; 0 is the file as a whole
    what: str


class Verified(NamedTuple):
    """What was found; the log is whole if there are no problems."""

    entries: int
    files: int
    first: Entry | None
    last: Entry | None
    problems: list[Problem]  # MAX_PROBLEMS at most, and then how many more


def verify(directory: Path) -> Verified:
    """Check the log as it is at this moment; others may write to it meanwhile.

    Raises:
        AuditError: It can't be read.
    """
    with snapshot(directory) as taken, explained("read", directory):
        chain = _Chain(parse_head(taken.head or b""))
        for file in taken.files:
            for piece in pieces(file.descriptor, file.size):
                chain.add(file.name, piece)
            chain.report_broken()
    chain.check_start()
    chain.check_end(taken.head)
    problems = chain.problems.told()
    return Verified(chain.entries, len(taken.files), chain.first, chain.last, problems)


class _Problems:
    def __init__(self) -> None:
        self._first: list[Problem] = []
        self._count = 0

    def add(self, problem: Problem) -> None:
        self._count += 1
        if self._count <= MAX_PROBLEMS:
            self._first.append(problem)

    def told(self) -> list[Problem]:
        more = self._count - len(self._first)
        return [*self._first, Problem("", 0, f"{more} more problems")] if more else self._first


class _Chain:
    """The entries so far, and what is wrong with them."""

    def __init__(self, head: Head | None) -> None:
        self.entries = 0
        self.first: Entry | None = None
        self.last: Entry | None = None
        self.problems = _Problems()
        self._head = head
        self._head_is_found = False
        self._first_at = ("", 0)
        self._starts = {(1, START)}  # where the chain may start, as entries tell
        self._broken: list[Problem] = []  # lines that the next entry may account for
        self._region = Region()

    def add(self, file: str, piece: Piece) -> None:
        if isinstance(piece.found, Entry):
            self._add_entry(file, piece.line, piece.found)
            return
        self._region.add(piece.raw)
        if piece.starts_line and len(self._broken) <= MAX_PROBLEMS:
            self._broken.append(Problem(file, piece.line, piece.found))

    def report_broken(self) -> None:
        """Nothing accounts for the broken lines since the last entry."""
        for problem in self._broken:
            self.problems.add(problem)
        self._broken, self._region = [], Region()

    def _add_entry(self, file: str, line: int, entry: Entry) -> None:
        if self._broken and _accounted(entry) == self._region.account():
            self._broken, self._region = [], Region()
        problem = self._break_before(entry)
        # Broken lines that are as many as the missing entries are those entries.
        explains_itself = entry.seq - self._last_seq() - 1 == len(self._broken)
        self.report_broken()
        if problem and not explains_itself:
            self.problems.add(Problem(file, line, problem))
        self._note(file, line, entry)

    def _note(self, file: str, line: int, entry: Entry) -> None:
        if self.first is None:
            self.first, self._first_at = entry, (file, line)
        self.last = entry
        self.entries += 1
        self._head_is_found |= Head(entry.seq, entry.hash) == self._head
        match entry:
            case Entry(event=Event.PRUNE, detail={"first": {"seq": int(seq), "prev": str(prev)}}):
                self._starts.add((seq, prev))

    def _break_before(self, entry: Entry) -> str | None:
        last = self.last
        if last is None or (entry.seq, entry.prev) == (last.seq + 1, last.hash):
            return None
        if entry.seq <= last.seq:
            return f"entry {entry.seq} stands behind entry {last.seq}: out of order, or twice"
        if entry.seq > last.seq + 1:
            return f"{_entries(last.seq + 1, entry.seq - 1)} missing before this one"
        return f"entry {entry.seq} does not follow from the entry {last.seq} before it"

    def _last_seq(self) -> int:
        return self.last.seq if self.last else 0

    def check_start(self) -> None:
        if self.first and (self.first.seq, self.first.prev) not in self._starts:
            missing = _entries(1, self.first.seq - 1)
            what = f"{missing} missing before this one, and the log did not remove them"
            self.problems.add(Problem(*self._first_at, what))

    def check_end(self, head: bytes | None) -> None:
        """Compare the end with `head`, which a killed writer left one entry behind."""
        what = None
        if self._head is None:
            # Empty at the very first entry: its writer was killed there.
            if head or self._last_seq() > (0 if head is None else 1):
                state = "missing" if head is None else "damaged"
                what = f"it is {state}: whether entries are missing at the end can't be told"
        elif self._head.seq > self._last_seq():
            what = f"{_entries(self._last_seq() + 1, self._head.seq)} missing at the end of the log"
        elif not self._head_is_found:
            what = f"the log has no entry {self._head.seq} as it is named here"
        if what:
            self.problems.add(Problem(HEAD, 0, what))


def _accounted(entry: Entry) -> object:
    return (entry.detail or {}).get("left") if entry.event is Event.RESUME else None


def _entries(first: int, last: int) -> str:
    return f"entry {first} is" if first == last else f"entries {first} to {last} are"
