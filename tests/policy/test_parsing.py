"""A policy file is read as it is meant or refused with its place and what to write instead."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.strategies import POLICIES
from wassette_supervisor.errors import PolicyError
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
from wassette_supervisor.policy.numbering import Where
from wassette_supervisor.policy.parsing import parse, parse_ceiling
from wassette_supervisor.policy.text import to_yaml

ALL = b"""\
$schema: https://example.com/schema.json
version: "1.0"
description: |
  An example
  policy
permissions:
  storage:
    allow:
    - uri: fs://workspace/**
      access: [write, read]
      description: the work
    deny:
    - {uri: "fs://workspace/**/.env", access: [read]}
  network:
    allow:
    - host: HTTPS://*.Example.com:8443
      methods: [POST, GET]
      paths: [/v1/**]
    - host: "https://api.weather.example"
      inject: {headers: {Authorization: "Bearer ${secret:WEATHER_TOKEN}"}}
    - cidr: "10.1.0.0/16"
    deny:
    - host: "*.malicious.com"
  environment:
    allow:
    - key: TZ
    - key: LANG
      value: ""
    - key: TOKEN
      value_from: {secret: NAME}
  resources:
    limits:
      memory: 256Mi
      wall_time: 30s
      fuel: 50000000000
      output: 1Mi
      requests: 5
      request_bytes: 1Ki
      response_bytes: 1Gi
      storage: {file: 10Mi, files: 100}
tools:
  fetch: {permissions: {network: {allow: [{host: "api.openai.com"}]}}}
"""


def test_every_word_of_a_policy_is_read() -> None:
    parsed = parse(ALL)
    assert parsed.warnings == []
    assert parsed.policy == Policy(
        schema="https://example.com/schema.json",
        description="An example\npolicy\n",
        permissions=Permissions(
            Storage(
                (StorageRule("fs://workspace/**", ("read", "write"), "the work"),),
                (StorageRule("fs://workspace/**/.env", ("read",)),),
            ),
            Network(
                (
                    NetworkRule(
                        "https://*.example.com:8443", methods=("GET", "POST"), paths=("/v1/**",)
                    ),
                    NetworkRule(
                        "https://api.weather.example",
                        inject={"authorization": "Bearer ${secret:WEATHER_TOKEN}"},
                    ),
                    NetworkRule(cidr="10.1.0.0/16"),
                ),
                (NetworkRule("*.malicious.com"),),
            ),
            Environment(
                (
                    EnvironmentRule("TZ"),
                    EnvironmentRule("LANG", value=""),
                    EnvironmentRule("TOKEN", None, "NAME"),
                )
            ),
            Resources(
                256 << 20, 30_000, 50_000_000_000, 1 << 20, 5, 1 << 10, 1 << 30, 10 << 20, 100
            ),
        ),
        tools={"fetch": Permissions(network=Network((NetworkRule("api.openai.com"),)))},
    )


def test_every_rule_has_its_place_in_the_file() -> None:
    positions = parse(ALL).positions
    assert positions[Where(None, "storage", "deny", 0)] == (13, 7)
    assert positions[Where(None, "network", "allow", 2)] == (21, 7)
    assert positions[Where(None, "limits", "limit", "storage.files")].line == 40
    assert positions[Where("fetch", "network", "allow", 0)].line == 42


@pytest.mark.parametrize(
    "text",
    [
        'version: "1.0"',
        "version: 1.0",
        'version: "1.0"\npermissions:',
        "{version: '1.0', permissions: null, tools: ~, description: null}",
        "version: '1.0'\npermissions: {storage: {allow: , deny: null}, network: {}}",
        "version: '1.0'\npermissions: {resources: {limits: {memory: null, storage: }}}",
    ],
)
def test_nothing_is_read_as_nothing(text: str) -> None:
    assert parse(text.encode()).policy == Policy()


def storage(rule: str) -> str:
    return f"storage: {{allow: [{rule}]}}"


def network(rule: str) -> str:
    return f"network: {{allow: [{rule}]}}"


def environment(rule: str) -> str:
    return f"environment: {{allow: [{rule}]}}"


INJECT = 'inject: {headers: {a: "${secret:A}"}}'


@pytest.mark.parametrize(
    ("permissions", "column", "message"),
    [
        ("storge: {}", 1, "permissions has no key 'storge'; did you mean storage?"),
        ("zzz: {}", 1, "permissions has no key 'zzz'; write environment, ipc, network, resources,"),
        ("storage: []", 10, "storage is a list; write a mapping of allow, deny"),
        ("storage: {allow: {}}", 18, "storage.allow is a mapping; write a list, each line with"),
        ("storage: {alow: []}", 11, "storage has no key 'alow'; did you mean allow?"),
        (storage("fs://a"), 19, "a storage rule is a text; write a mapping of access, descr"),
        (storage("{uri: fs://a}"), 19, "a storage rule without access; add access"),
        (storage("{access: [read]}"), 19, "a storage rule without uri; add uri"),
        (storage("{uri: , access: [read]}"), 24, "uri is nothing; write a text"),
        (storage("{uri: [a], access: [read]}"), 25, "uri is a list; write a text"),
        (storage("{uri: fs://a/.., access: [read]}"), 25, "the storage URI 'fs://a/..' has a se"),
        (storage("{uri: fs://a, access: read}"), 41, "access is a text; write a list"),
        (storage("{uri: fs://a, access: []}"), 41, "access is empty; name at least one"),
        (storage("{uri: fs://a, access: [rea]}"), 42, "access 'rea' is none; write re"),
        (storage("{uri: fs://a, access: [read, read]}"), 48, "access has 'read' twice; keep one"),
        (storage('{uri: "fs://a\\n", access: [read]}'), 25, "uri has a line break"),
        (network("{}"), 19, "a network rule has to name one target; write either host or cidr"),
        (network("{host: a.b, cidr: 10.0.0.0/8}"), 19, "a network rule has to name one target"),
        (network("{host: a/b}"), 26, "the host 'a/b' has a path; write the host alone, and"),
        (network("{cidr: 10.0.0.1/8}"), 26, "the range '10.0.0.1/8' begins before its address; "),
        (network("{cidr: 10.0.0.0/8, methods: [GET]}"), 47, "a cidr rule with methods; write"),
        (network("{host: a.b, methods: []}"), 40, "methods is empty; name at least one, or leave"),
        (network("{host: a.b, methods: [get]}"), 41, "'get' is no method; write GET"),
        (network("{host: a.b, paths: [a]}"), 39, "'a' is no path of a URL; begin it with /"),
        (network(f"{{host: a.b, {INJECT}}}"), 39, "inject on the host 'a.b', which is not one"),
        (network(f'{{host: "https://*.b", {INJECT}}}'), 49, "inject on the host 'https://*.b'"),
        (network(f'{{host: "http://a.b", {INJECT}}}'), 48, "inject on the host 'http://a.b'"),
        (network("{host: https://a.b, inject: {}}"), 47, "inject without headers; add headers"),
        (network("{host: https://a.b, inject: {headers: {}}}"), 57, "headers is empty; name"),
        (network("{host: https://a.b, inject: {headers: {a: b, A: c}}}"), 67, "the header 'A' tw"),
        ("network: {deny: [{host: a.b, methods: [GET]}]}", 39, "a deny rule with metho"),
        ("environment: {deny: []}", 15, "environment has no key 'deny'; remove it: what no rule"),
        (environment("{key: A*}"), 29, "the variable 'A*' is a pattern; name each variable"),
        (environment("{key: A}, {key: A}"), 33, "the variable A a second time; keep"),
        (environment("{key: A, value: }"), 38, "value is nothing; write a text"),
        (environment("{key: A, secret: B}"), 32, "an environment rule has no key 'secret'; wr"),
        (environment("{key: A, value: a, value_from: {secret: B}}"), 54, "both value and v"),
        (environment("{key: A, value_from: {env: B}}"), 45, "value_from has no key 'env'; "),
        (environment("{key: A, value_from: }"), 43, "value_from without secret; add secret"),
        ("resources: {limits: {memory: 0}}", 30, "the limit memory is '0'; write a size in bytes"),
        ("resources: {limits: {memory: 5Gi}}", 30, "the limit memory is '5Gi'; write a size in"),
        ("resources: {limits: {memory: 4097}}", 30, "the limit memory is '4097'; write"),
        ("resources: {limits: {memory: 64MB}}", 30, "the limit memory is '64MB'; write a size"),
        ("resources: {limits: {fuel: 1.5}}", 28, "the limit fuel is '1.5'; write a whole number"),
        ("resources: {limits: {wall_time: 30}}", 33, "the limit wall_time is '30'; write a time"),
        ("resources: {limits: {storage: {files: 0}}}", 39, "the limit storage.files is '0'; write"),
        ("resources: {limits: {result: 1Mi}}", 22, "limits has no key 'result'; "),
        ("resources: {memory: 1, limits: {memory: 1}}", 21, "memory a second time; keep"),
        ("runtime: {docker: {user: root}}", 20, "runtime.docker has no key 'user'; did you"),
        ("ipc: {only: []}", 7, "ipc has no key 'only'; "),
    ],
)  # fmt: skip
def test_a_mistake_in_the_permissions_is_shown_with_its_place(
    permissions: str, column: int, message: str
) -> None:
    text = f'version: "1.0"\npermissions:\n {permissions}\n'
    with pytest.raises(PolicyError) as caught:
        parse(text.encode())
    error = caught.value
    assert str(error).startswith(f"line 3, column {column + 1}: {message}")
    assert (error.line, error.column) == (3, column + 1)
    assert error.instead
    assert len(str(error)) < 700


@pytest.mark.parametrize(
    "name",
    [
        *("Host", "content-length", "Content_Length", "connection", "http2-settings", "te"),
        *("accept-encoding", "x-forwarded-for", "X_Forwarded_For", "x-wassette-error"),
    ],
)
def test_a_header_that_the_broker_writes_or_drops_can_not_be_injected(name: str) -> None:
    rule = network(f"{{host: https://a.b, inject: {{headers: {{{name}: x}}}}}}")
    with pytest.raises(PolicyError, match=f"the header '{name}' can't be injected"):
        parse(f"version: '1.0'\npermissions: {{{rule}}}".encode())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "line 1, column 1: the policy is a list; write a mapping of $schema, description, "),
        ("a", "line 1, column 1: the policy is a text; write a mapping of "),
        ("{}", 'line 1, column 1: the policy has no version; write version: "1.0"'),
        ("version: 2", "line 1, column 10: the version '2' is not known; write version: "),
        ("version: '1'", "line 1, column 10: the version '1' is not known; "),
        ("version: '1.0'\nallow: []", "line 2, column 1: the policy has no key 'allow'; "),
        ("version: '1.0'\npermisions:", "line 2, column 1: the policy has no key 'permisions'; "),
        ("version: '1.0'\ntools: []", "line 2, column 8: tools is a list; write a mapping"),
        ("version: '1.0'\ntools: {a b: {}}", "line 2, column 14: 'a b' is no tool's name; correct"),
        ("version: '1.0'\ntools: {a: {}}", "line 2, column 12: the tool a has no permissions; "),
        ("version: '1.0'\ntools: {a: {permissions: {x: }}}", "line 2, column 27: permissions has"),
        ("version: '1.0'\ndescription: {}", "line 2, column 14: description is a mapping; write a"),
        ("version: '1.0'\ndescription: " + "a" * 5000, "line 2, column 14: description has more"),
        ("version: '1.0'\n? " + "a" * 2000, "line 2, column 3: the policy has no key 'aaaaaaaaaaa"),
    ],
    ids=range(14),
)  # fmt: skip
def test_a_mistake_in_the_document_is_shown_with_its_place(text: str, message: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse(text.encode())
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    "rule",
    [
        environment("{key: A, value: b}"),
        environment("{key: A, value_from: {secret: B}}"),
        network(f'{{host: "https://a.b", {INJECT}}}'),
    ],
)
def test_only_the_permissions_of_the_component_set_values(rule: str) -> None:
    parse(f"version: '1.0'\npermissions: {{{rule}}}".encode())
    for text, read in (
        (f"version: '1.0'\ntools: {{x: {{permissions: {{{rule}}}}}}}", parse),
        (f"version: '1.0'\npermissions: {{{rule}}}", parse_ceiling),
    ):
        with pytest.raises(PolicyError, match="where rules only limit others"):
            read(text.encode())


def test_a_ceiling_has_no_tools() -> None:
    with pytest.raises(PolicyError, match="a ceiling holds for all tools"):
        parse_ceiling(b"version: '1.0'\ntools: {}")


@pytest.mark.parametrize(
    ("first", "second", "ok"),
    [
        ('host: "https://a.b", inject: {headers: {x: "1"}}', "x: '1'", True),
        ('host: "https://a.b", inject: {headers: {x: "1"}}', "x: '2'", False),
        ('host: "https://a.b:444", inject: {headers: {x: "1"}}', "x: '2'", True),
        ('host: "https://c.b", inject: {headers: {x: "1"}}', "x: '2'", True),
        ('host: "https://a.b", methods: [GET], inject: {headers: {x: "1"}}', "x: '2'", False),
        ('host: "https://a.b", paths: [/x], inject: {headers: {x: "1"}}', "x: '2'", False),
        ('host: "https://a.b"', "x: '2'", True),
    ],
)
def test_two_rules_may_not_inject_differently_into_one_request(
    first: str, second: str, *, ok: bool
) -> None:
    rules = f'[{{{first}}}, {{host: "https://a.b:443", inject: {{headers: {{{second}}}}}}}]'
    text = f"version: '1.0'\npermissions: {{network: {{allow: {rules}}}}}"
    if ok:
        parse(text.encode())
        return
    with pytest.raises(PolicyError, match=r"line 2, .* two rules for https://a\.b inject"):
        parse(text.encode())


def test_rules_for_different_methods_may_inject_differently() -> None:
    rules = ", ".join(
        f'{{host: "https://a.b", methods: [{m}], inject: {{headers: {{x: "{m}"}}}}}}'
        for m in ("GET", "PUT")
    )
    parse(f"version: '1.0'\npermissions: {{network: {{allow: [{rules}]}}}}".encode())


@pytest.mark.parametrize(
    ("permissions", "warning"),
    [
        ("runtime: {docker: null}", "line 2: runtime is ignored; it grants nothing here"),
        ("resources: {memory: 512}", "line 2: memory 512 is taken as 512Mi; write it with its un"),
        (network('{host: "*.com"}'), "line 2: *.com matches hosts of everybody under com"),
        (
            storage("{uri: fs://$(pwd)/a, access: [read]}"),
            "line 2: nothing in 'fs://$(pwd)/a' is expanded: it is taken as a name",
        ),
    ],
)
def test_what_is_legal_and_looks_wrong_is_warned_of(permissions: str, warning: str) -> None:
    (found,) = parse(f"version: '1.0'\npermissions: {{{permissions}}}".encode()).warnings
    assert found.startswith(warning)


# --- laws -----------------------------------------------------------------------------------


@given(POLICIES)
@settings(deadline=None)
def test_a_written_policy_is_read_as_the_same(policy: Policy) -> None:
    assert parse(to_yaml(policy)).policy == policy


_WORDS = st.sampled_from(
    [
        "version", "permissions", "storage", "network", "allow", "deny", "uri", "host", "tools",
        "access", "environment", "key", "limits", "resources", ":", ": ", "- ", "\n", "\n  ",
        "[", "]", "{", "}", ",", '"', "'", "&a", "*a", "!", "!!str", "<<", "#", "|", ">", "---",
        "...", "%", "?", "@", "`", "\\", "fs://", "**", "read", "1.0", "\t", "\0", "\x85", "é",
        "\ufeff", "\u2028", "\U0001f600", "\\x", "\\U00110000",
    ]
)  # fmt: skip


@given(st.lists(_WORDS, max_size=40).map("".join))
def test_garbage_is_refused_and_nothing_else_happens(text: str) -> None:
    with contextlib.suppress(PolicyError):
        parse(text.encode())


@given(st.binary(max_size=60))
def test_bytes_are_refused_and_nothing_else_happens(raw: bytes) -> None:
    for text in (raw, b'version: "' + raw, b"version: '1.0'\npermissions: " + raw):
        with contextlib.suppress(PolicyError):
            parse(text)


@given(st.integers(0, len(ALL) - 1), st.binary(max_size=3), st.integers(0, 5))
def test_a_damaged_policy_is_read_or_refused(place: int, put: bytes, cut: int) -> None:
    with contextlib.suppress(PolicyError):
        parse(ALL[:place] + put + ALL[place + cut :])
