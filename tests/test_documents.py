"""What the documents say of the command line is what it says itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from wassette_protocol.capabilities import Limits
from wassette_supervisor.limits import LIMITS

REPOSITORY = Path(__file__).parents[1]
README = (REPOSITORY / "README.md").read_text()


def test_the_help_in_the_readme_is_that_of_the_command() -> None:
    found = re.search(r"<!-- help -->\n+```[a-z]*\n(.*?)```", README, re.DOTALL)
    assert found is not None
    command = Path(sys.executable).parent / "wassette-supervisor"
    printed = subprocess.run(  # noqa: S603 - our own command
        [command, "--help"],
        env={**os.environ, "COLUMNS": "80", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    ).stdout
    assert _shown(found[1]) == _shown(printed)


def _shown(text: str) -> list[str]:
    """Without blank lines, and without a default that depends on the machine's processors."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return [re.sub(r"default: \d+", "default: N", line) for line in lines]


def test_the_limits_in_the_readme_are_the_defaults() -> None:
    rows = dict(re.findall(r"^\| `([a-z_]+)` \| `?([^|`]+)`? \|", README, re.MULTILINE))
    defaults = Limits()
    for name, limit in LIMITS.items():
        value = getattr(defaults, limit.field)
        assert name in rows, name
        written = rows[name].strip().replace(",", "")
        assert written == limit.text(value).replace(",", ""), name


def test_each_cell_of_the_comparison_says_how_it_is_known() -> None:
    section = README.partition("## What protects you against what")[2].partition("\n## ")[0]
    assert re.search(r"Of 20\d\d-\d\d-\d\d\.", section)
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    assert len(rows) > 5
    for attack, *others, here in rows[1:]:
        assert all(cell.endswith("(read)") for cell in others), attack
        assert here.endswith("(tested)"), attack
        assert len(others) == len(rows[0]) - 2, attack


def test_every_file_that_a_document_links_to_exists() -> None:
    for document in [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"
