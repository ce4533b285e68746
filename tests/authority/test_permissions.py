"""What a call is given of its component's policy, and every change of it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from wassette_protocol.frames import ComponentId, Digest, Export
from wassette_supervisor import settings
from wassette_supervisor.app import granter
from wassette_supervisor.authority.changes import ChangedMeanwhileError, NotApprovedError
from wassette_supervisor.authority.permissions import Permissions
from wassette_supervisor.errors import PolicyError, UnknownComponentError
from wassette_supervisor.policy.rules import rule_from_words
from wassette_supervisor.store.record import Record, ToolRecord
from wassette_supervisor.store.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from wassette_supervisor.pool.grants import Grants

ID = ComponentId("weather")


class Place:
    """A store with one component, a workspace, and the permissions on it."""

    def __init__(self, root: Path, **flags: object) -> None:
        self.root = root
        self.work = root / "work"
        self.work.mkdir(exist_ok=True)
        self.store = Store(root / "store")
        flags = {"component_dir": self.store.root, "workspace": self.work} | flags
        given = settings.load(flags, {"HOME": str(root)})
        self.permissions = Permissions(self.store, granter(given))
        if not self.store.records():
            tool = ToolRecord("forecast", Export(None, "forecast"), "", {"type": "object"}, None)
            with self.store.writing():
                digest, imports = Digest("a" * 64), ["wasi:http/outgoing-handler@0.2.0"]
                self.store.save(Record(ID, "file:///w.wasm", digest, 1, imports, [tool], []))

    @property
    def record(self) -> Record:
        return self.store.records()[ID]

    def set_policy(self, permissions: str, rest: str = "") -> None:
        self.permissions.set_policy(ID, policy(permissions, rest))

    def grants(self, tool: str = "forecast") -> Grants:
        return self.permissions.granted(self.record, tool).grants

    def missing(self) -> tuple[str, ...]:
        return self.permissions.granted(self.record, "forecast").missing


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("SERVER_HAS", "of the server")
    monkeypatch.delenv("SERVER_LACKS", raising=False)
    return Place(tmp_path)


def policy(permissions: str, rest: str = "") -> bytes:
    return f'version: "1.0"\npermissions:\n{permissions}\n{rest}'.encode()


def variables(*rules: str) -> str:
    lines = "".join(f"    - {rule}\n" for rule in rules)
    return f"  environment:\n    allow:\n{lines}"


def storage(*rules: tuple[str, str]) -> str:
    lines = "".join(f"    - {{uri: '{uri}', access: [{access}]}}\n" for uri, access in rules)
    return f"  storage:\n    allow:\n{lines}"


def ranges(kind: str, count: int) -> str:
    rules = "".join(f"    - {{cidr: 10.{n}.0.0/16}}\n" for n in range(count))
    return f"  network:\n    {kind}:\n{rules}"


# --- what a call is given -------------------------------------------------------------------


def test_without_a_policy_a_call_is_given_nothing(place: Place) -> None:
    grants = place.grants()
    assert (grants.environment, grants.directories) == ((), ())
    assert place.missing() == ()


def test_variables_come_from_the_policy_the_secrets_the_settings_or_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVER_HAS", "of the server")
    monkeypatch.setenv("BOTH", "of the server")
    place = Place(tmp_path, env=["BOTH=of the settings"])
    place.permissions.secrets.set(ID, {"TOKEN": "hidden", "UNNAMED": "never"})
    place.set_policy(
        variables(
            "{key: SERVER_HAS}",
            "{key: BOTH}",
            "{key: FIXED, value: 'of the policy'}",
            "{key: KEY, value_from: {secret: TOKEN}}",
            "{key: SERVER_LACKS}",
            "{key: OTHER, value_from: {secret: ABSENT}}",
        )
    )
    assert dict(place.grants().environment) == {
        "SERVER_HAS": "of the server",
        "BOTH": "of the settings",
        "FIXED": "of the policy",
        "KEY": "hidden",
    }
    assert place.missing() == (
        "variable SERVER_LACKS: the server has none of this name",
        "variable OTHER: there is no secret ABSENT",
    )
    assert "hidden" not in repr(place.permissions.granted(place.record, "forecast"))


def test_directories_are_given_as_written_and_as_they_are_now(place: Place) -> None:
    (place.work / "data").mkdir()
    (place.root / "elsewhere").mkdir()
    place.set_policy(
        storage(
            ("fs://data/**", "read"),
            (f"fs://{place.root}/elsewhere", "read, write"),
            ("fs://not-there", "read"),
        )
    )
    given = {each.guest: (each.path, each.writable) for each in place.grants().directories}
    assert given == {
        "data": (str(place.work / "data"), False),
        f"{place.root}/elsewhere": (str(place.root / "elsewhere"), True),
    }
    [missing] = place.missing()
    assert missing.startswith("files ")
    assert "not-there" in missing
    (place.work / "not-there").mkdir()
    assert "not-there" in {each.guest for each in place.grants().directories}


def test_a_replaced_directory_is_another_grant(place: Place) -> None:
    (place.work / "data").mkdir()
    place.set_policy(storage(("fs://data", "read")))
    before = place.grants()
    (place.work / "data").rename(place.work / "kept")
    (place.work / "data").mkdir()
    assert place.grants() != before


def test_a_directory_that_now_reaches_the_store_stops_the_call(place: Place) -> None:
    (place.work / "data").mkdir()
    place.set_policy(storage(("fs://data", "read")))
    (place.work / "data").rmdir()
    (place.work / "data").symlink_to(place.store.root)
    with pytest.raises(PolicyError, match="overlaps the store"):
        place.grants()


def test_limits_of_the_policy_hold_and_the_operator_has_the_last_word(tmp_path: Path) -> None:
    place = Place(tmp_path, max_limit=["wall_time=20s"])
    limits = "  resources:\n    limits: {memory: 64Mi, wall_time: 10s, fuel: 1000, output: 1Ki}"
    place.set_policy(limits)
    given = place.grants().limits
    assert (given.memory, given.wall_time_ms) == (64 << 20, 10_000)
    assert (given.fuel, given.output) == (1000, 1024)
    with pytest.raises(PolicyError, match="at most 20s"):
        place.set_policy("  resources:\n    limits: {wall_time: 21s}")


def test_a_tools_section_gives_it_less(place: Place) -> None:
    (place.work / "data").mkdir()
    place.set_policy(
        storage(("fs://data", "read, write")) + variables("{key: SERVER_HAS}"),
        "tools:\n  forecast:\n    permissions:\n"
        "      storage: {allow: [{uri: 'fs://data', access: [read]}]}\n",
    )
    narrowed, other = place.grants("forecast"), place.grants("other")
    assert [each.writable for each in narrowed.directories] == [False]
    assert narrowed.environment == ()
    assert [each.writable for each in other.directories] == [True]
    assert dict(other.environment) == {"SERVER_HAS": "of the server"}


def test_a_ceiling_only_lowers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVER_HAS", "of the server")
    monkeypatch.setenv("HOME_HAS", "too")
    (tmp_path / "ceiling.yaml").write_bytes(
        policy(variables("{key: SERVER_HAS}") + "  resources: {limits: {fuel: 500}}\n")
    )
    place = Place(tmp_path, ceiling=tmp_path / "ceiling.yaml")
    place.set_policy(
        variables("{key: SERVER_HAS}", "{key: HOME_HAS}") + "  resources: {limits: {fuel: 1000}}\n"
    )
    assert dict(place.grants().environment) == {"SERVER_HAS": "of the server"}
    assert place.grants().limits.fuel == 500


# --- what is refused when it is set ---------------------------------------------------------


@pytest.mark.parametrize(
    ("permissions", "why"),
    [
        pytest.param('  network: {allow: [{host: "*"}]}', "allows every host", id="any host"),
        pytest.param(ranges("allow", 65), r"rule 65 .* no more than 64", id="ranges to allow"),
        pytest.param(ranges("deny", 65), r"rule 65 .* no more than 64", id="ranges to deny"),
        pytest.param(storage(("fs:///proc/self", "read")), "kernel's own files", id="proc"),
        pytest.param(storage(("fs:///", "read")), "overlaps", id="everything"),
        pytest.param(storage(("fs://fifo", "read")), "no regular file", id="fifo"),
        pytest.param(storage(("fs:///**/x", "read")), "overlaps", id="pattern of everything"),
        pytest.param(storage(("fs://state", "write")), "without read", id="state without read"),
        pytest.param("  resources: {limits: {requests: 10001}}", "at most 10000", id="requests"),
    ],
)
def test_what_is_not_enforced_is_refused_by_its_rule_and_nothing_changes(
    place: Place, permissions: str, why: str
) -> None:
    os.mkfifo(place.work / "fifo")
    place.set_policy(variables("{key: SERVER_HAS}"))
    with pytest.raises(PolicyError, match=why):
        place.set_policy(permissions)
    assert dict(place.grants().environment) == {"SERVER_HAS": "of the server"}


def test_every_host_is_allowed_only_while_the_operator_says_so(tmp_path: Path) -> None:
    every = '  network: {allow: [{host: "https://*"}]}'
    place = Place(tmp_path, allow_any_host=True)
    place.set_policy(every)
    assert place.grants().network
    stricter = Place(tmp_path)  # of the same store
    with pytest.raises(PolicyError, match="have the operator start the server with --allow-any"):
        stricter.grants()
    stricter.permissions.reset(ID)
    assert not stricter.grants().network
    with pytest.raises(PolicyError, match="allows every host"):
        stricter.permissions.grant(ID, rule_from_words("network", "*"), "once")


def test_a_ceiling_may_allow_every_host_and_grants_none(tmp_path: Path) -> None:
    ceiling = tmp_path / "ceiling.yaml"
    ceiling.write_bytes(policy('  network: {allow: [{host: "*"}]}'))
    place = Place(tmp_path, ceiling=str(ceiling))
    assert not place.grants().network
    place.set_policy("  network: {allow: [{host: a.example}, {host: 127.0.0.1}]}")
    assert place.grants().network
    assert place.missing() == ("requests to 127.0.0.1: the operator's ceiling doesn't allow it",)


def test_a_secret_that_is_to_be_sent_and_was_not_set_is_told(place: Place) -> None:
    inject = "inject: {headers: {x-key: '${secret:KEY}'}}"
    place.set_policy(f"  network: {{allow: [{{host: 'https://a.example', {inject}}}]}}")
    assert place.missing() == ("requests that take it along: there is no secret KEY",)
    place.permissions.secrets.set(ID, {"KEY": "hidden"})
    assert place.missing() == ()


def test_a_grant_of_a_part_of_the_store_is_refused_at_run_time_too(place: Place) -> None:
    uri = f"fs://{place.store.root}/components"
    with pytest.raises(PolicyError, match="overlaps the store"):
        place.permissions.grant(ID, rule_from_words("storage", uri, ["read"]), "always")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files of several owners")
def test_directories_of_several_owners_need_a_name_to_run_under(tmp_path: Path) -> None:
    place = Place(tmp_path)
    for uid in (1000, 1001):
        (place.work / str(uid)).mkdir()
        os.chown(place.work / str(uid), uid, uid)
    rules = storage(("fs://1000", "read"), ("fs://1001", "read"))
    with pytest.raises(PolicyError, match="--run-as"):
        place.set_policy(rules)
    place = Place(tmp_path, run_as="1000")
    place.set_policy(rules)
    assert place.grants().uid == 1000


# --- changes --------------------------------------------------------------------------------


def rule(key: str) -> Any:
    return rule_from_words("environment-variable", key)


def test_a_grant_by_another_process_counts_from_the_next_call(place: Place) -> None:
    other = Place(place.root)
    other.permissions.grant(ID, rule("SERVER_HAS"), "always")
    assert dict(place.grants().environment) == {"SERVER_HAS": "of the server"}
    other.permissions.revoke(ID, "SERVER_HAS")
    assert place.grants().environment == ()


def test_reset_means_nothing_is_granted_whatever_state_the_policy_was_in(place: Place) -> None:
    place.set_policy(variables("{key: SERVER_HAS}"))
    place.permissions.grant(ID, rule("HOME"), "session")
    file = place.store.root / "components" / "weather.policy.yaml"
    file.write_bytes(b"not a policy: [")
    with pytest.raises(NotApprovedError):
        place.grants()
    place.permissions.reset(ID)
    assert place.grants().environment == ()
    assert not file.exists()


def test_an_edited_file_waits_until_it_is_approved(place: Place) -> None:
    place.set_policy(variables("{key: SERVER_HAS}"))
    file = place.store.root / "components" / "weather.policy.yaml"
    file.write_bytes(policy(variables("{key: SERVER_HAS}", "{key: HOME}")))
    with pytest.raises(NotApprovedError, match="policy check weather --approve"):
        place.grants()
    with pytest.raises(NotApprovedError):
        place.permissions.grant(ID, rule("PATH"), "always")
    place.permissions.approve(ID)
    assert {key for key, _ in place.grants().environment} == {"SERVER_HAS", "HOME"}
    file.write_bytes(b"version: 2")
    with pytest.raises(PolicyError):
        place.permissions.approve(ID)
    with pytest.raises(NotApprovedError):
        place.grants()


def test_what_was_allowed_once_is_used_up_by_one_call(place: Place) -> None:
    place.permissions.grant(ID, rule("SERVER_HAS"), "once")
    assert place.grants().environment
    assert place.grants().environment == ()


def test_what_was_allowed_for_a_while_is_not_for_other_bytes(place: Place) -> None:
    place.permissions.grant(ID, rule("SERVER_HAS"), "session")
    assert place.grants().environment
    other = Record(ID, "file:///w.wasm", Digest("b" * 64), 1, [], [], [])
    with place.store.writing():
        place.store.save(other)
    assert place.grants().environment == ()


def test_a_change_that_a_person_allowed_is_not_made_on_another_policy(place: Place) -> None:
    standing = place.permissions.standing(place.record)
    place.set_policy(variables("{key: SERVER_HAS}"))
    for scope in ("once", "session", "always"):
        with pytest.raises(ChangedMeanwhileError):
            place.permissions.grant(ID, rule("HOME"), scope, standing)
    assert {key for key, _ in place.grants().environment} == {"SERVER_HAS"}


def test_revoking_what_is_not_there_says_what_is(place: Place) -> None:
    place.set_policy(variables("{key: SERVER_HAS}"))
    with pytest.raises(PolicyError, match=r"1 \(allow SERVER_HAS"):
        place.permissions.revoke(ID, "HOME")
    with pytest.raises(PolicyError, match=r"1 \(allow SERVER_HAS"):
        place.permissions.revoke(ID, 7)
    place.permissions.revoke(ID, 1)
    assert place.grants().environment == ()


def test_nothing_is_changed_for_a_component_that_is_not_there(place: Place) -> None:
    nobody = ComponentId("nobody")
    for change in (
        lambda: place.permissions.grant(nobody, rule("A"), "always"),
        lambda: place.permissions.grant(nobody, rule("A"), "session"),
        lambda: place.permissions.revoke(nobody, "A"),
        lambda: place.permissions.reset(nobody),
        lambda: place.permissions.approve(nobody),
        lambda: place.permissions.secrets.set(nobody, {"A": "b"}),
        lambda: place.permissions.secrets.delete(nobody, ["A"]),
    ):
        with pytest.raises(UnknownComponentError):
            change()


WRITER = """
import pathlib, sys
from test_permissions import ID, Place, rule

place = Place(pathlib.Path(sys.argv[1]))
for number in range(20):
    place.permissions.grant(ID, rule(f"{sys.argv[2]}_{number}"), "always")
"""


def test_two_writers_lose_no_update_of_each_other(place: Place) -> None:
    environment = os.environ | {"PYTHONPATH": os.path.dirname(__file__)}  # noqa: PTH120 - a string
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, place.root, name], env=environment)  # noqa: S603 - our own words
        for name in ("A", "B")
    ]
    assert [writer.wait() for writer in writers] == [0, 0]
    attached = place.permissions.attached(place.record)
    assert attached.policy is not None
    keys = {each.key for each in attached.policy.permissions.environment.allow}
    assert keys == {f"{name}_{number}" for name in "AB" for number in range(20)}


# --- what a reviewer found ------------------------------------------------------------------


def test_a_section_for_what_is_no_tool_is_refused_when_set_and_when_bytes_change(
    place: Place,
) -> None:
    sections = "tools:\n  forecats:\n    permissions: {}\n"
    with pytest.raises(PolicyError, match="'forecats', which is no tool of 'weather'"):
        place.set_policy(variables("{key: SERVER_HAS}"), sections)
    place.set_policy(variables("{key: SERVER_HAS}"), sections.replace("forecats", "forecast"))
    renamed = [msgspec.structs.replace(place.record.tools[0], name="outlook")]
    with place.store.writing():
        place.store.save(msgspec.structs.replace(place.record, tools=renamed))
    with pytest.raises(PolicyError, match="which is no tool"):
        place.grants("outlook")


@pytest.mark.parametrize("change", ["reset", "revoke another", "set", "load again"])
def test_what_was_allowed_for_a_session_ends_when_another_process_narrows(
    place: Place, change: str
) -> None:
    place.set_policy(variables("{key: HOME}"))
    place.permissions.grant(ID, rule("SERVER_HAS"), "session")
    assert "SERVER_HAS" in dict(place.grants().environment)
    other = Place(place.root)
    if change == "reset":
        other.permissions.reset(ID)
    elif change == "revoke another":
        other.permissions.revoke(ID, "HOME")
    elif change == "set":
        other.set_policy(variables("{key: HOME}"))
    else:
        with other.store.writing():
            other.store.save(msgspec.structs.replace(other.record, loaded=2.0))
    assert "SERVER_HAS" not in dict(place.grants().environment)


def test_a_guest_that_replaces_a_granted_directory_by_a_link_gets_nothing_behind_it(
    place: Place,
) -> None:
    (place.work / "pub").mkdir()
    (place.root / "secret").mkdir()
    place.set_policy(
        storage((f"fs://{place.work}", "read, write")),
        "tools:\n  forecast:\n    permissions:\n      storage:\n        allow:\n"
        f"        - {{uri: 'fs://{place.work}/pub', access: [read]}}\n",
    )
    assert [each.path for each in place.grants().directories] == [str(place.work / "pub")]
    (place.work / "pub").rmdir()
    (place.work / "pub").symlink_to(place.root / "secret")
    with pytest.raises(PolicyError, match="through a link"):
        place.grants()


def test_a_revoke_is_refused_while_a_wider_rule_of_the_session_allows_it_all_the_same(
    place: Place,
) -> None:
    (place.work / "a" / "b").mkdir(parents=True)
    place.set_policy(storage(("fs://a/b", "read")))
    place.permissions.grant(ID, rule_from_words("storage", "fs://a", ["read"]), "session")
    with pytest.raises(PolicyError, match="a wider rule"):
        place.permissions.revoke(ID, "fs://a/b")


def test_a_rule_of_the_session_and_a_wider_one_within_it_hold_together(place: Place) -> None:
    (place.work / "a" / "b").mkdir(parents=True)
    place.permissions.grant(ID, rule_from_words("storage", "fs://a", ["read"]), "session")
    wider = rule_from_words("storage", "fs://a/b", ["read", "write"])
    place.permissions.grant(ID, wider, "always")
    assert given_places(place) == {"a": "r", "a/b": "rw"}


def given_places(place: Place) -> dict[str, str]:
    """What the kernel opens of the workspace, and how far."""
    return {
        os.path.relpath(each.path, place.work): "r" * each.reach.read + "w" * each.reach.write
        for each in place.grants().hull
    }


# --- exact mode -----------------------------------------------------------------------------


def test_a_folder_is_given_whole_where_the_kernel_alone_can_keep_it(place: Place) -> None:
    (place.work / "a").mkdir()
    place.set_policy(storage(("fs://a", "read")))
    assert not place.grants().exact
    place.set_policy(storage(("fs://a", "read, write")))
    assert place.grants().exact
    assert Place(place.root, plain_writes=True).grants().exact is False
    denied = "    deny: [{uri: 'fs://a/b', access: [read]}]\n"
    place.set_policy(storage(("fs://a", "read")) + denied)
    assert Place(place.root, plain_writes=True).grants().exact


def test_with_records_of_opens_whatever_is_granted_comes_with_rules(place: Place) -> None:
    (place.work / "a").mkdir()
    recording = Place(place.root, plain_writes=True, audit_files=True)
    assert recording.grants().audited
    for uri, access in (
        ("fs://a", "read"),
        ("fs://a", "read, write"),
        ("fs://state", "read, write"),
    ):
        place.set_policy(storage((uri, access)))
        assert recording.grants().audited
        assert recording.grants().exact
        assert not place.grants().audited


def test_a_single_file_comes_with_its_folder_and_nothing_else_of_it(place: Place) -> None:
    (place.work / "a").mkdir()
    (place.work / "a" / "x.md").write_bytes(b"")
    place.set_policy(storage(("fs://a/x.md", "read"), ("fs://b/*.md", "read")))
    [only] = place.grants().directories
    assert (only.guest, only.path, only.writable) == ("a", str(place.work / "a"), False)
    assert given_places(place) == {"a": "", "a/x.md": "r"}
    [missing] = place.missing()
    assert missing == f"files {place.work}/b: No such file or directory"
    (place.work / "a" / "x.md").unlink()
    assert place.grants().directories == ()
    (place.work / "a" / "x.md").symlink_to("/etc/passwd")
    with pytest.raises(PolicyError, match="through a link"):
        place.grants()


def test_what_lies_in_a_granted_folder_and_is_a_link_or_gone_gives_nothing_of_its_own(
    place: Place,
) -> None:
    for name in ("a/b", "a/c"):
        (place.work / name).mkdir(parents=True)
    place.set_policy(
        storage(("fs://a", "read"), ("fs://a/b", "read, write"), ("fs://a/c", "read, write"))
    )
    assert given_places(place) == {"a": "r", "a/b": "rw", "a/c": "rw"}
    for name in ("a/b", "a/c"):
        (place.work / name).rmdir()
    (place.work / "a/b").symlink_to(place.root)
    assert given_places(place) == {"a": "r"}
    assert len(place.missing()) == 2


def test_limits_on_files_are_given_with_what_may_be_written(place: Place) -> None:
    (place.work / "a").mkdir()
    limits = "  resources: {limits: {storage: {file: 1Mi, files: 7}}}\n"
    for access, expected in (("read", (None, None)), ("read, write", (1 << 20, 7))):
        place.set_policy(storage(("fs://a", access)) + limits)
        grants = place.grants()
        assert (grants.file_size, grants.files) == expected
        assert grants.exact
    place.set_policy(storage(("fs://a", "read"), ("fs://state", "read, write")) + limits)
    grants = place.grants()
    assert (grants.file_size, grants.files) == (1 << 20, 7)
    assert {each.guest: each.rules is not None for each in grants.directories} == {
        "a": True,
        "state": True,
    }


def test_a_tool_that_no_rule_lets_write_reads_only(place: Place) -> None:
    deny = "    deny: [{{uri: '{}', access: [write]}}]\n".format
    for rules, writes in (
        (storage(("fs://a/*.md", "read")), False),
        (storage(("fs://a/*.md", "write")), True),
        (storage(("fs://a", "read, write")) + deny("fs://a/b"), True),
        (storage(("fs://a", "read, write")) + deny("fs://**"), False),
    ):
        place.set_policy(rules)
        assert place.permissions.reach(place.record, "forecast").writes is writes


def test_more_rules_than_a_call_can_have_are_refused_when_they_are_set(place: Place) -> None:
    (place.work / "a").mkdir()
    denied = (f"{{uri: 'fs://a/{number}', access: [read]}}" for number in range(256))
    with pytest.raises(PolicyError, match="257 rules of files are more than 256; grant less"):
        place.set_policy(storage(("fs://a", "read")) + f"    deny: [{', '.join(denied)}]\n")


def test_the_own_folder_alone_is_not_judged(place: Place) -> None:
    place.set_policy(storage(("fs://state", "read, write")))
    assert not place.grants().exact
    assert place.grants().directories[0].writable


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files of several owners")
def test_a_single_file_is_its_owners_whoever_has_its_folder(place: Place) -> None:
    for uid in (1000, 1001):
        (place.work / str(uid)).write_bytes(b"")
        os.chown(place.work / str(uid), uid, uid)
    place.set_policy(storage(("fs://1000", "read")))
    assert place.grants().uid == 1000
    with pytest.raises(PolicyError, match="several users"):
        place.set_policy(storage(("fs://1000", "read"), ("fs://1001", "read")))


def test_the_meaning_of_a_rule_is_the_path_that_it_grants(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "c").mkdir()
    ceiling = storage((f"fs://{tmp_path}/a/b", "read"), (f"fs://{tmp_path}/a/c", "read"))
    (tmp_path / "ceiling.yaml").write_bytes(policy(ceiling))
    place = Place(tmp_path, ceiling=tmp_path / "ceiling.yaml")
    inside = rule_from_words("storage", f"fs://{tmp_path}/a/b", ["read"])
    assert place.permissions.meaning(inside) == (f"{tmp_path}/a/b", False)
    (tmp_path / "a" / "b" / "x").write_bytes(b"")
    for uri, meaning in (
        ("x", (f"{tmp_path}/a/b/x", True)),
        ("*.md", (f"{tmp_path}/a/b/*.md", False)),
        ("**/c*/**", (f"{tmp_path}/a/b/**/c*/**", False)),
    ):
        named = rule_from_words("storage", f"fs://{tmp_path}/a/b/{uri}", ["read"])
        assert place.permissions.meaning(named) == meaning
    for uri in (f"fs://{tmp_path}/a", f"fs://{tmp_path}/none", "fs:///usr/share"):
        with pytest.raises(PolicyError):
            place.permissions.meaning(rule_from_words("storage", uri, ["read"]))
