from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec
import pytest

from wassette_protocol.frames import ComponentId, Digest
from wassette_supervisor.errors import StoreError
from wassette_supervisor.store.policies import MAX_POLICY_BYTES, Policies
from wassette_supervisor.store.record import Record
from wassette_supervisor.store.sealed import sealed, unsealed
from wassette_supervisor.store.store import Store

if TYPE_CHECKING:
    from pathlib import Path

ID = ComponentId("weather")
OLD, NEW = b'version: "1.0"\n', b'version: "1.0"\ndescription: another\n'


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    with store.writing():
        store.save(bare(ID))
    return store


def bare(component: ComponentId) -> Record:
    return Record(component, "file:///a.wasm", Digest("0" * 64), 1.0, [], [], [])


def record(store: Store) -> Record:
    return store.records()[ID]


def write(store: Store, text: bytes | None) -> None:
    with store.writing():
        Policies(store).write(record(store), text)


def test_a_component_without_a_policy_has_none_and_that_is_approved(store: Store) -> None:
    kept = Policies(store).read(record(store))
    assert (kept.text, kept.digest, kept.approved) == (None, "", True)
    assert Policies(store).stamp(ID) is None


def test_a_policy_that_was_changed_since_its_record_was_read_is_approved(store: Store) -> None:
    write(store, OLD)
    earlier = record(store)
    write(store, NEW)  # by another process, say
    kept = Policies(store).read(earlier)
    assert (kept.text, kept.approved) == (NEW, True)
    Policies(store).path(ID).write_bytes(OLD + b"# by hand")
    assert not Policies(store).read(earlier).approved


def test_a_policy_that_was_approved_for_other_bytes_is_not_so_for_these(store: Store) -> None:
    earlier = record(store)
    with store.writing():
        store.save(msgspec.structs.replace(earlier, digest=Digest("1" * 64)))
    write(store, NEW)
    assert not Policies(store).read(earlier).approved


def test_a_written_policy_is_there_approved_and_for_its_user_alone(store: Store) -> None:
    before = store.generation()
    write(store, OLD)
    kept = Policies(store).read(record(store))
    assert (kept.text, kept.approved) == (OLD, True)
    assert kept.digest == hashlib.sha256(OLD).hexdigest() == record(store).policy
    assert Policies(store).path(ID).stat().st_mode & 0o777 == 0o600
    assert store.generation() > before
    write(store, None)
    assert Policies(store).read(record(store)).text is None
    assert record(store).policy == ""


@pytest.mark.parametrize("edited", [NEW, b"", None], ids=["other", "emptied", "deleted"])
def test_a_file_edited_by_hand_is_not_approved_until_somebody_does(
    store: Store, edited: bytes | None
) -> None:
    write(store, OLD)
    policies = Policies(store)
    before = policies.stamp(ID)
    if edited is None:
        policies.path(ID).unlink()
    else:
        policies.path(ID).write_bytes(edited)
    assert policies.stamp(ID) != before
    assert not policies.read(record(store)).approved
    with store.writing():
        policies.approve(record(store), policies.read(record(store)))
    assert policies.read(record(store)) == (
        edited,
        "" if edited is None else hashlib.sha256(edited).hexdigest(),
        True,
    )


def test_a_write_over_an_edited_file_never_approves_the_edit(store: Store) -> None:
    write(store, OLD)
    Policies(store).path(ID).write_bytes(b"edited")
    write(store, NEW)
    Policies(store).path(ID).write_bytes(b"edited")
    assert not Policies(store).read(record(store)).approved


def test_a_policy_that_is_too_long_is_neither_written_nor_read(store: Store) -> None:
    with pytest.raises(StoreError, match="make it shorter"):
        write(store, b"#" * (MAX_POLICY_BYTES + 1))
    Policies(store).path(ID).write_bytes(b"#" * (MAX_POLICY_BYTES + 1))
    with pytest.raises(StoreError, match="`policy set`"):
        Policies(store).read(record(store))


@pytest.mark.parametrize("place", ["link", "fifo", "folder"])
def test_what_is_no_file_is_never_read_as_a_policy(store: Store, place: str) -> None:
    path = Policies(store).path(ID)
    if place == "link":
        path.symlink_to("/etc/passwd")
    elif place == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(StoreError, match="policy"):
        Policies(store).read(record(store))


@pytest.mark.parametrize("place", ["link", "fifo", "too-long"])
def test_a_damaged_policy_gives_way_to_another_one(store: Store, place: str) -> None:
    path = Policies(store).path(ID)
    if place == "link":
        path.symlink_to("/etc/passwd")
    elif place == "fifo":
        os.mkfifo(path)
    else:
        path.write_bytes(b"#" * (MAX_POLICY_BYTES + 1))
    write(store, NEW)
    assert Policies(store).read(record(store))[::2] == (NEW, True)
    write(store, None)
    assert Policies(store).read(record(store))[::2] == (None, True)


# --- a policy that came with its component ---------------------------------------------------


def take_along(store: Store, text: bytes) -> None:
    """As a load that is killed when the record is saved."""
    with store.writing():
        store.save(Policies(store).taken_along(record(store), text))


@pytest.mark.parametrize("earlier", [None, OLD, b"edited"], ids=["none", "approved", "edited"])
def test_a_policy_that_a_record_takes_along_is_in_force_before_and_after_it_is_in_its_file(
    store: Store, earlier: bytes | None
) -> None:
    write(store, OLD)
    path = Policies(store).path(ID)
    if earlier is None:
        path.unlink()
    else:
        path.write_bytes(earlier)
    take_along(store, NEW)
    assert Policies(store).read(record(store))[::2] == (NEW, True)
    with store.writing():
        Policies(store).settled(record(store))
    assert Policies(store).read(record(store))[::2] == (NEW, True)
    assert path.read_bytes() == NEW
    path.write_bytes(earlier or b"")
    assert not Policies(store).read(record(store)).approved


def test_an_edit_of_the_file_counts_more_than_what_a_record_took_along(store: Store) -> None:
    take_along(store, NEW)
    path = Policies(store).path(ID)
    path.write_bytes(b"edited")
    assert Policies(store).read(record(store))[::2] == (b"edited", False)
    with store.writing():
        Policies(store).settled(record(store))
    assert path.read_bytes() == b"edited"
    assert not Policies(store).read(record(store)).approved


@pytest.mark.parametrize("text", [OLD, None], ids=["set", "unset"])
def test_a_policy_that_a_record_took_along_gives_way_to_a_later_one(
    store: Store, text: bytes | None
) -> None:
    take_along(store, NEW)
    write(store, text)
    assert Policies(store).read(record(store))[::2] == (text, True)
    assert record(store).policy_text is None


WRITER = """
import os, pathlib, sys
from wassette_supervisor.store.policies import Policies
from wassette_supervisor.store.store import Store

store = Store(pathlib.Path(sys.argv[1]))
for number in range(1_000_000):
    with store.writing():
        text = b'description: "%d"' % number
        Policies(store).write(store.records()["weather"], text if number % 7 else None)
    print(number, flush=True)
"""


@pytest.mark.parametrize("after", [1, 2, 5, 9])
def test_a_writer_killed_at_any_time_leaves_a_policy_that_somebody_approved(
    store: Store, after: int
) -> None:
    with subprocess.Popen(  # noqa: S603 - our own words
        [sys.executable, "-c", WRITER, store.root], stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        for _ in range(after):
            assert writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
        *_, last = [str(after - 1).encode(), *writer.stdout.read().split()]
    kept = Policies(store).read(record(store))
    assert kept.approved
    # What was acknowledged is there, or what was to come next.
    assert kept.text in [
        b'description: "%d"' % number if number % 7 else None
        for number in (int(last), int(last) + 1)
    ]


def test_a_record_of_before_there_were_policies_is_read_as_one_without(store: Store) -> None:
    path = store.root / "components" / f"{ID}.json"
    fields = msgspec.json.decode(unsealed(path.read_bytes()))
    del fields["policy"], fields["policy_next"]
    path.write_bytes(sealed(msgspec.json.encode(fields)))
    assert record(store).policy == ""
