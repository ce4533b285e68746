"""The YAML that is kept of a policy."""

from __future__ import annotations

import pytest
import yaml

from wassette_supervisor.policy.document import (
    Environment,
    EnvironmentRule,
    Network,
    NetworkRule,
    Permissions,
    Policy,
    Resources,
    Storage,
    StorageRule,
)
from wassette_supervisor.policy.parsing import parse
from wassette_supervisor.policy.text import to_yaml

POLICY = Policy(
    schema="https://example.com/schema",
    description='say "no"\n\u202e',
    permissions=Permissions(
        Storage((StorageRule("fs://a/**", ("read", "write")),)),
        Network(
            (
                NetworkRule(
                    "https://a.test",
                    methods=("GET",),
                    paths=("/**",),
                    inject={"x-key": "${secret:S}"},
                    description="why",
                ),
            ),
            (NetworkRule(cidr="10.0.0.0/8"),),
        ),
        Environment((EnvironmentRule("no", value=""), EnvironmentRule("B", None, "S"))),
        Resources(memory=64 << 20, wall_time=1500, storage_files=3),
    ),
    tools={"123": Permissions()},
)
WRITTEN = r"""
$schema: "https://example.com/schema"
version: "1.0"
description: "say \"no\"\U0000000a\U0000202e"
permissions:
  storage:
    allow:
    - uri: "fs://a/**"
      access: ["read", "write"]
  network:
    allow:
    - host: "https://a.test"
      methods: ["GET"]
      paths: ["/**"]
      inject:
        headers:
          "x-key": "${secret:S}"
      description: "why"
    deny:
    - cidr: "10.0.0.0/8"
  environment:
    allow:
    - key: "no"
      value: ""
    - key: "B"
      value_from:
        secret: "S"
  resources:
    limits:
      memory: "64Mi"
      wall_time: "1500ms"
      storage:
        files: "3"
tools:
  "123":
    permissions: {}
"""


def test_a_policy_is_written_in_one_form() -> None:
    assert to_yaml(POLICY).decode() == WRITTEN.lstrip()
    assert parse(to_yaml(POLICY)).policy == POLICY


def test_another_reader_of_yaml_finds_texts_only() -> None:
    """A number or a boolean would come to it as something else than what was granted."""
    read = yaml.safe_load(to_yaml(POLICY))
    assert list(read["tools"]) == ["123"]
    assert read["permissions"]["environment"]["allow"][0] == {"key": "no", "value": ""}
    assert read["description"] == POLICY.description


@pytest.mark.parametrize("mebibytes", [1, 512, 1024, 4096])
def test_memory_is_written_with_its_unit_since_a_bare_number_means_something_else(
    mebibytes: int,
) -> None:
    policy = Policy(permissions=Permissions(resources=Resources(memory=mebibytes << 20)))
    parsed = parse(to_yaml(policy))
    assert parsed.policy == policy
    assert parsed.warnings == []
