"""What others publish as policies can be read, or is refused with what to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from wassette_supervisor.errors import PolicyError
from wassette_supervisor.policy.enforceable import unenforced
from wassette_supervisor.policy.numbering import numbered
from wassette_supervisor.policy.parsing import parse
from wassette_supervisor.policy.text import to_yaml

EXAMPLES = sorted((Path(__file__).parent / "examples").glob("*.yaml"))


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_a_published_form_of_policy_is_read_and_written_as_the_same(file: Path) -> None:
    policy = parse(file.read_bytes()).policy
    assert parse(to_yaml(policy)).policy == policy
    assert bool(numbered(policy)) is (file.stem != "wassette-nothing")


OURS = sorted((Path(__file__).parents[2] / "examples/policies").glob("*.yaml"))


@pytest.mark.parametrize("file", OURS, ids=lambda file: file.stem)
def test_our_own_examples_are_enforced(file: Path) -> None:
    policy = parse(file.read_bytes()).policy
    assert numbered(policy)
    assert unenforced(policy) == []


def test_what_is_ignored_of_them_is_said() -> None:
    file = next(file for file in EXAMPLES if file.stem == "policy-mcp-container")
    assert parse(file.read_bytes()).warnings == [
        "line 32: runtime is ignored; it grants nothing here",
        "line 45: ipc is ignored; it grants nothing here",
        "line 42: memory 1024 is taken as 1024Mi; write it with its unit",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            'version: "1.1"',
            "line 1, column 10: the version '1.1' is not known; write version: \"1.0\"",
            id="a later version",
        ),
        pytest.param(
            'version: "1.0"\npermissions: {resources: {cpu: 50.0, memory: 512}}',
            "line 2, column 27: resources has no key 'cpu'; write wall_time, as 30s, or fuel, a "
            "number of instructions",
            id="cpu in its old place",
        ),
        pytest.param(
            'version: "1.0"\npermissions: {resources: {limits: {cpu: 500m}}}',
            "line 2, column 36: limits has no key 'cpu'; write wall_time, as 30s, or fuel, a "
            "number of instructions",
            id="cpu under limits",
        ),
        pytest.param(
            'version: "1.0"\npermissions: {resources: {io: 1000}}',
            "line 2, column 27: resources has no key 'io'; write storage, as {file: 10Mi, files: "
            "100}",
            id="io",
        ),
        pytest.param(
            'version: "1.0"\npermissions: {network: {allow: [{defaults: true}]}}',
            "line 2, column 34: a network rule has no key 'defaults'; name each host; no list of "
            "hosts is built in",
            id="a built-in list of hosts",
        ),
    ],
)
def test_what_would_be_a_promise_not_kept_is_refused(text: str, message: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse(text.encode())
    assert str(caught.value) == message
