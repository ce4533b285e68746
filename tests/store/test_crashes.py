"""A death, a loss of power or an error at every single call that changes the store.

Each operation is done once for every such call and every fault, on a fresh copy of a store.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support import crashes, faults
from support.crashes import LANG, NARROW, Place, seen
from support.faults import Attempt
from wassette_protocol.frames import ComponentId

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.crashes import Seen
    from support.faults import Deed, Report

    Operation = Callable[[Place], object]

pytestmark = pytest.mark.thorough

ONE, BARE, AS_EDITED, ALONG = map(ComponentId, ("one", "bare", "edited", "along"))
CODE = b"other code"

OPERATIONS: dict[str, Operation] = {
    "load": lambda place: place.load("new", CODE),
    "load-with-policy": lambda place: place.load("new", CODE, NARROW),
    "reload": lambda place: place.load("one", CODE),
    "reload-with-policy": lambda place: place.load("one", CODE, NARROW),
    "reload-with-taken-along": lambda place: place.load("along", CODE),
    "unload": lambda place: place.unload("one"),
    "set-policy": lambda place: place.permissions.set_policy(ONE, NARROW),
    "set-first-policy": lambda place: place.permissions.set_policy(BARE, NARROW),
    "set-policy-over-edited": lambda place: place.permissions.set_policy(AS_EDITED, NARROW),
    "grant": lambda place: place.permissions.grant(ONE, LANG, "always"),
    "grant-to-taken-along": lambda place: place.permissions.grant(ALONG, LANG, "always"),
    "revoke": lambda place: place.permissions.revoke(ONE, "HOME"),
    "unset-policy": lambda place: place.permissions.set_policy(ONE, None),
    "approve": lambda place: place.permissions.approve(AS_EDITED),
    "set-secrets": lambda place: place.permissions.secrets.set(ONE, {"NEW": "4", "KEY": "5"}),
    "delete-secret": lambda place: place.permissions.secrets.delete(ONE, ["KEY"]),
    "delete-last-secret": lambda place: place.permissions.secrets.delete(BARE, ["TOKEN"]),
    "collect": lambda place: place.collect(),
    "keep-artefact": lambda place: place.keep_artefact(b"one"),
    "damaged-artefact": lambda place: place.look_at_artefact(b"bystander"),
    "first-load": lambda place: place.load("new", CODE),
}
WRITES = ("write ", "pwrite ")
TAKES_SPACE = (*WRITES, "open ", "mkdir ", "rename ", "fsync ", "fdatasync ", "ftruncate ")


class Bench:
    """One operation, the store that it is done to, and what it should come to."""

    def __init__(self, folder: Path, name: str) -> None:
        self.operation = OPERATIONS[name]
        self._folder = folder
        self._prepared = folder / "prepared"
        _prepare(self._prepared, name)
        self._checked: set[int] = set()
        self._known: dict[int, dict[str, Seen]] = {}
        root = self.fresh()
        self.before = seen(self.copy_of(root))
        [self.counted] = self.told(self.attempt(root, "count"))
        self.after = seen(root)

    def fresh(self) -> Path:
        return self.copy_of(self._prepared)

    def copy_of(self, folder: Path) -> Path:
        root = Path(tempfile.mkdtemp(dir=self._folder)) / "store"
        crashes.linked(folder, root)
        return root

    def told(self, *attempts: Attempt) -> list[Report]:
        """What a child said that lived."""
        said = faults.run(*attempts)
        assert said is not None
        return said

    def die(self, root: Path, deed: Deed, at: int) -> None:
        assert faults.run(self.attempt(root, deed, at)) is None, f"{deed} {self.called(at)}"

    def attempt(self, root: Path, deed: Deed, at: int = -1) -> Attempt:
        return Attempt(root, self.do, deed, at)

    def do(self, root: Path) -> None:
        self.operation(Place(root))

    def called(self, at: int) -> str:
        calls = [*self.counted.calls, "the end"]
        return f"{at + 1} of {len(self.counted.calls)}: {calls[at]}"

    def check(self, root: Path, when: str) -> None:
        """All or nothing; what is not done can be; what is left over goes.

        Once for each content, and takes the store.
        """
        content = crashes.content(root)
        if content not in self._checked:
            self._checked.add(content)
            self._check(root, when)

    def seen(self, root: Path) -> dict[str, Seen]:
        content = crashes.content(root)
        if content not in self._known:
            self._known[content] = seen(root)
        return self._known[content]

    def _check(self, root: Path, when: str) -> None:
        found = self.seen(root)
        assert found in (self.before, self.after), when
        if found != self.after:
            self.do(root)
            assert self.seen(root) == self.after, when
        Place(root).collect()
        assert self.seen(root) == self.after, when
        assert crashes.garbage(root) == set(), when


def _prepare(root: Path, name: str) -> None:
    if name == "first-load":
        root.mkdir(mode=0o700)
        return
    crashes.prepare(root)
    if name == "damaged-artefact":
        crashes.artefact(root, b"bystander").write_bytes(b"")


@pytest.fixture(scope="module")
def memory() -> Iterator[Path]:
    """A folder that costs no disk."""
    shared = Path("/dev/shm")  # noqa: S108 - a new folder within
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture(scope="module", params=OPERATIONS)
def bench(request: pytest.FixtureRequest, memory: Path) -> Bench:
    folder = memory / request.param
    folder.mkdir()
    return Bench(folder, request.param)


def test_every_call_that_changes_the_store_is_counted(bench: Bench) -> None:
    assert bench.counted.unseen == []
    assert bench.counted.refused is bench.counted.bug is None
    assert bench.counted.left_open == []
    assert len(bench.counted.calls) >= 3


def test_a_death_at_any_call_leaves_all_of_an_operation_or_nothing(bench: Bench) -> None:
    calls = bench.counted.calls
    # Just after a call is just before the next one: between them nothing changes, see above.
    deaths: list[tuple[Deed, int]] = [("before", at) for at in range(len(calls))]
    deaths += [("halfway", at) for at, call in enumerate(calls) if call.startswith(WRITES)]
    for deed, at in [*deaths, ("after", len(calls) - 1)]:
        root = bench.fresh()
        bench.die(root, deed, at)
        bench.check(root, f"{deed} {bench.called(at)}")


def test_a_loss_of_power_at_any_call_leaves_all_of_an_operation_or_nothing(bench: Bench) -> None:
    root = bench.fresh()
    bench.told(bench.attempt(root, "power"))
    for kind in ("synced", "names"):
        for at in range(len(bench.counted.calls) + 1):
            survived = root.with_name(f"store.{kind}.{at}")
            if at == len(bench.counted.calls):
                assert seen(survived) == bench.after, f"{kind}: what was acknowledged is lost"
            bench.check(survived, f"{kind} {bench.called(at)}")


@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
def test_an_error_at_any_call_is_one_line_and_nothing_is_half_done(
    bench: Bench, error: Deed
) -> None:
    attempts = [
        bench.attempt(bench.fresh(), error, at)
        for at, call in enumerate(bench.counted.calls)
        if error != "ENOSPC" or call.startswith(TAKES_SPACE)
    ]
    for (root, _, _, at), report in zip(attempts, bench.told(*attempts), strict=True):
        when = f"{error} {bench.called(at)}: {report}"
        assert report.bug is None, when
        assert report.left_open == [], when
        found = bench.seen(root)
        if report.refused is None:
            assert found == bench.after, when
        else:
            assert "\n" not in report.refused, when
            assert "; " in report.refused, when
            # A folder that can't be synced holds the change, and nobody knows for how long.
            assert found == bench.before or "fsync" in bench.called(at), when
        bench.check(root, when)
