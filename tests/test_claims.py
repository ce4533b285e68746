"""Every promise of the documents has its entry, and every entry stands on what is there.

That each test really fails with its sabotage takes minutes: `sh scripts/claims` sees that.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from support.claims import PROMISES, REPOSITORY, Claim, claims, promised, sentences

CLAIMS = claims()
each_claim = pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)

# Names that a sabotage takes from nowhere: its test would fail of that.
UNDEFINED = "F821,F822,F823"


@pytest.mark.parametrize("document", PROMISES)
def test_every_sentence_that_promises_something_has_an_entry(document: str) -> None:
    text = (REPOSITORY / document).read_text()
    wanted = promised(text, PROMISES[document])
    entries = {claim.sentence for claim in CLAIMS.values() if claim.document == document}
    assert len(wanted) > 8
    assert [sentence for sentence in wanted if sentence not in entries] == []


@each_claim
def test_the_sentence_of_an_entry_stands_in_its_document(claim: Claim) -> None:
    text = " ".join((REPOSITORY / claim.document).read_text().split())
    assert sentences(claim.sentence) == [claim.sentence]
    assert claim.sentence in text


def test_no_sentence_has_two_entries() -> None:
    counted = Counter((claim.document, claim.sentence) for claim in CLAIMS.values())
    assert [sentence for sentence, count in counted.items() if count > 1] == []


@each_claim
def test_the_tests_of_an_entry_are_there(claim: Claim) -> None:
    assert claim.tests
    for test in claim.tests:
        file, _, name = test.partition("[")[0].partition("::")
        assert name in functions(file), test


@cache
def functions(file: str) -> frozenset[str]:
    tree = ast.parse((REPOSITORY / file).read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in tree.body if isinstance(node, kinds))


@each_claim
def test_the_line_of_a_sabotage_stands_in_its_file_once_and_can_be_replaced(claim: Claim) -> None:
    assert claim.file.startswith(("supervisor/", "worker/", "protocol/"))
    assert claim.line.strip() == claim.line != claim.instead
    text = (REPOSITORY / claim.file).read_text()
    changed = claim.sabotaged(text)
    assert changed != text
    compile(changed, claim.file, "exec")


def test_no_sabotage_has_a_name_that_is_not_defined(tmp_path: Path) -> None:
    for name, claim in CLAIMS.items():
        changed = claim.sabotaged((REPOSITORY / claim.file).read_text())
        (tmp_path / f"{name}.py").write_text(changed)
    done = subprocess.run(  # noqa: S603 - our own tool
        [
            *(Path(sys.executable).with_name("ruff"), "check", "--isolated"),
            *("--output-format", "concise", "--select", UNDEFINED, tmp_path),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout
