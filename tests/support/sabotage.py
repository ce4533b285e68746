"""Sabotages copies of this tree, one claim at a time, and sees the claim's tests fail.

`python tests/support/sabotage.py [CLAIM ...]` takes the claims of `tests/claims.toml`, all of them
unless some are named. It ends with 0 if every test passes as things are and fails as it must.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import queue
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import venv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from support.claims import Claim

COPIES = 2

# pytest: all passed; some failed. Any other status is a mistake in how it was called.
_PASSED, _FAILED = 0, 1

_NOT_COPIED = shutil.ignore_patterns("__pycache__", ".*", "dist")

# A test that fails of one of these was broken by the sabotage, not by what it broke.
_MISTAKES = ("ImportError", "ModuleNotFoundError", "NameError", "SyntaxError")


class Outcome(NamedTuple):
    """How one test ended."""

    test: str  # its id
    state: str  # passed, failed, error or skipped
    detail: str  # the first line of why

    def is_of(self, wanted: str) -> bool:
        """Whether this is that test, or one of the rows of it."""
        return self.test == wanted or self.test.startswith(f"{wanted}[")


class Run(NamedTuple):
    """One run of pytest."""

    status: int | None  # None: it was ended because it took too long
    outcomes: list[Outcome]
    said: str


class Copy:
    """A copy of the tree, and an interpreter that imports it and nothing of the original.

    The product starts `python -I`, which takes its path from the interpreter's own folder: a
    virtual environment, whose one .pth file names the copy and the installed packages.
    """

    def __init__(self, original: Path, folder: Path) -> None:
        self._original = original
        self.tree = folder / "tree"
        shutil.copytree(original, self.tree, ignore=_NOT_COPIED)
        cache = original / ".cache"
        if cache.exists():  # the tests' components are built already
            (self.tree / ".cache").symlink_to(cache)
        self._report = folder / "report.xml"
        self._said = folder / "said"
        self._environment(folder / "venv")
        self._warm = subprocess.Popen(  # noqa: S603 - our own program
            [self._python, self.tree / "tests" / "support" / "warm.py"],
            cwd=self.tree,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def _environment(self, folder: Path) -> None:
        venv.create(folder, symlinks=True)
        self._python = folder / "bin" / "python"
        packages = next(folder.glob("lib/python*/site-packages"))
        roots = [self.tree / name for name in ("protocol", "supervisor", "worker")]
        installed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
        lines = [*map(str, roots), *installed]
        (packages / "copy.pth").write_text("\n".join(lines) + "\n")
        for program in Path(sys.executable).parent.glob("wassette-supervisor"):
            _, _, text = program.read_text().partition("\n")
            ours = folder / "bin" / program.name
            ours.write_text(f"#!{self._python}\n{text}")
            ours.chmod(0o755)

    @contextlib.contextmanager
    def sabotaged(self, claim: Claim) -> Iterator[None]:
        """The tree with the claim's line changed, in this block."""
        target = self.tree / claim.file
        honest = target.read_text()
        changed = claim.sabotaged(honest)
        compile(changed, claim.file, "exec")
        self._write(target, changed)
        try:
            yield
        finally:
            self._write(target, honest)

    def _write(self, target: Path, text: str) -> None:
        target.write_text(text)
        # A compiled file is told by seconds and size, which two versions may share.
        for compiled in target.parent.glob(f"__pycache__/{target.stem}.*.pyc"):
            compiled.unlink()

    def run(self, tests: Iterable[str]) -> Run:
        """Run these tests."""
        self._report.unlink(missing_ok=True)
        options = ["-q", "--tb=short", "-p", "no:cacheprovider", f"--junitxml={self._report}"]
        request = [[*options, *tests], os.fspath(self._said)]
        assert self._warm.stdin is not None
        assert self._warm.stdout is not None
        self._warm.stdin.write(f"{json.dumps(request)}\n")
        self._warm.stdin.flush()
        status = json.loads(self._warm.stdout.readline())
        return Run(status, self._outcomes(), self._said.read_text(errors="replace"))

    def close(self) -> None:
        """End its process."""
        with self._warm:
            self._warm.kill()

    def _outcomes(self) -> list[Outcome]:
        if not self._report.exists():
            return []
        report = ET.parse(self._report)  # noqa: S314 - written by our own pytest
        return [self._outcome(case) for case in report.iter("testcase")]

    def _outcome(self, case: ET.Element) -> Outcome:
        test = f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name')}"
        for kind, state in (("error", "error"), ("failure", "failed"), ("skipped", "skipped")):
            found = case.find(kind)
            if found is not None:
                why = (found.get("message") or "").strip()
                return Outcome(test, state, why.split("\n", 1)[0][:160])
        return Outcome(test, "passed", "")


def honest_faults(run: Run, tests: Iterable[str]) -> list[str]:
    """What keeps tests from being used: as things are, each has to pass."""
    if run.status not in (_PASSED, _FAILED):
        return [f"pytest ended with {run.status}:\n{run.said.strip()[-2000:]}"]
    faults = []
    for wanted in tests:
        found = [outcome for outcome in run.outcomes if outcome.is_of(wanted)]
        if not found:
            faults.append(f"{wanted}: no such test")
        faults += [
            f"{outcome.test}: {outcome.state}: {outcome.detail}"
            for outcome in found
            if outcome.state in ("failed", "error")
        ]
    return faults


def sabotage_faults(run: Run, tests: Iterable[str]) -> list[str]:
    """What is wrong with a sabotaged run: each test has to fail, in itself."""
    if run.status not in (_PASSED, _FAILED):
        return [f"pytest ended with {run.status}:\n{run.said.strip()[-2000:]}"]
    faults = []
    for wanted in tests:
        found = [outcome for outcome in run.outcomes if outcome.is_of(wanted)]
        faults += [
            f"{outcome.test}: {outcome.state}: {outcome.detail}"
            for outcome in found
            if outcome.state == "error" or outcome.detail.startswith(_MISTAKES)
        ]
        if not any(outcome.state == "failed" for outcome in found):
            faults.append(f"{wanted} does not notice it")
    return faults


class Trial(NamedTuple):
    """What became of one claim."""

    name: str
    faults: list[str]
    detail: str  # how its test failed
    seconds: float


def try_claim(copy: Copy, name: str, claim: Claim) -> Trial:
    """Apply the claim's sabotage and run its tests."""
    began = time.monotonic()
    with copy.sabotaged(claim):
        run = copy.run(claim.tests)
    failed = [outcome.detail for outcome in run.outcomes if outcome.state == "failed"]
    faults = sabotage_faults(run, claim.tests)
    return Trial(name, faults, failed[0] if failed else "", time.monotonic() - began)


class Copies:
    """As many copies as run at once."""

    def __init__(self, original: Path, folder: Path, count: int) -> None:
        self.count = count
        self._all = [Copy(original, folder / f"{number}") for number in range(count)]
        self._free: queue.SimpleQueue[Copy] = queue.SimpleQueue()
        for copy in self._all:
            self._free.put(copy)

    def close(self) -> None:
        for copy in self._all:
            copy.close()

    @contextlib.contextmanager
    def one(self) -> Iterator[Copy]:
        copy = self._free.get()
        try:
            yield copy
        finally:
            self._free.put(copy)


def skipped(copies: Copies, wanted: dict[str, Claim]) -> dict[str, str]:
    """See every test pass as things are; return those that did not run, with the reason.

    Raises:
        SystemExit: A test doesn't pass.
    """
    tests = sorted({test for claim in wanted.values() for test in claim.tests})
    shares = [tests[number :: copies.count] for number in range(copies.count)]

    def share(of: Sequence[str]) -> Run:
        with copies.one() as copy:
            return copy.run(of)

    with ThreadPoolExecutor(copies.count) as pool:
        runs = list(pool.map(share, filter(None, shares)))
    faults = [
        fault
        for run, of in zip(runs, filter(None, shares), strict=True)
        for fault in honest_faults(run, of)
    ]
    if faults:
        raise SystemExit("\n".join(["FAILED without any sabotage:", *faults]))
    outcomes = [outcome for run in runs for outcome in run.outcomes]
    return {
        test: next(outcome.detail for outcome in outcomes if outcome.is_of(test))
        for test in tests
        if all(outcome.state == "skipped" for outcome in outcomes if outcome.is_of(test))
    }


def try_all(copies: Copies, wanted: dict[str, Claim]) -> Iterator[Trial]:
    def one(name: str) -> Trial:
        with copies.one() as copy:
            return try_claim(copy, name, wanted[name])

    with ThreadPoolExecutor(copies.count) as pool:
        yield from pool.map(one, wanted)


def tell(trial: Trial) -> None:
    state = "NOT HELD" if trial.faults else "held"
    sys.stdout.write(f"{state:8} {trial.seconds:5.1f} s  {trial.name}: {trial.detail}\n")
    for fault in trial.faults:
        sys.stdout.write(f"         {fault}\n")
    sys.stdout.flush()


def chosen(names: Sequence[str]) -> dict[str, Claim]:
    from support.claims import claims  # noqa: PLC0415 - found only as a script

    known = claims()
    for name in names:
        if name not in known:
            raise SystemExit(f"{name!r} is no claim of tests/claims.toml")
    return {name: known[name] for name in names or known}


def for_this_user(wanted: dict[str, Claim]) -> dict[str, Claim]:
    """Without those that only root can see; they are told."""
    left_out = [name for name, claim in wanted.items() if claim.as_root and os.geteuid() != 0]
    for name in left_out:
        sys.stdout.write(f"not run  {name}: only root can see it\n")
    return {name: claim for name, claim in wanted.items() if name not in left_out}


def hold(original: Path, folder: Path, wanted: dict[str, Claim], count: int) -> bool:
    """Try the claims; whether all of them are held, or on a CI machine, all were tried."""
    with contextlib.closing(Copies(original, folder, count)) as copies:
        left_out = skipped(copies, wanted)
        tried = {
            name: claim for name, claim in wanted.items() if not left_out.keys() & set(claim.tests)
        }
        unheld = 0
        for trial in try_all(copies, tried):
            tell(trial)
            unheld += bool(trial.faults)
    for name in wanted.keys() - tried.keys():
        why = next(left_out[test] for test in wanted[name].tests if test in left_out)
        sys.stdout.write(f"NOT RUN  {name}: {why}\n")
    sys.stdout.write(f"{len(tried) - unheld} of {len(wanted)} claims are held\n")
    complete = len(tried) == len(wanted) or os.environ.get("CI") != "true"
    return complete and not unheld


def main() -> int:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("claims", nargs="*", metavar="CLAIM", help="the names of some claims")
    parser.add_argument("--copies", type=int, default=COPIES, help="how many run at once")
    options = parser.parse_args()
    wanted = for_this_user(chosen(options.claims))
    with tempfile.TemporaryDirectory(prefix="claims-") as folder:
        held = hold(Path(__file__).resolve().parents[2], Path(folder), wanted, options.copies)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
