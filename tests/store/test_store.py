from __future__ import annotations

import fcntl
import hashlib
import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest

from wassette_protocol.frames import ComponentId, Digest, Export, LeftOut
from wassette_supervisor.errors import StoreError
from wassette_supervisor.store.record import MAX_RECORD_BYTES, Record, ToolRecord, encoded
from wassette_supervisor.store.sealed import sealed, unsealed
from wassette_supervisor.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

ENGINE = "50.0.1-abc"
ALL_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
A, B = ComponentId("a"), ComponentId("b")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "store")
    made.open()
    return made


def record(component: str, *, digest: str = "0" * 64, description: str = "Adds.") -> Record:
    tool = ToolRecord("add", Export("a:b/c@1.0.0", "add"), description, {"type": "object"}, None)
    return Record(
        id=ComponentId(component),
        source=f"file:///{component}.wasm",
        digest=Digest(digest),
        loaded=1.5,
        imports=["wasi:io/poll@0.2.0"],
        tools=[tool],
        left_out=[LeftOut(Export(None, "exports"), "of the toolchain")],
    )


def save(store: Store, *records: Record) -> None:
    with store.writing():
        for each in records:
            store.save(each)


@contextmanager
def memory(data: bytes) -> Iterator[int]:
    descriptor = os.memfd_create("test", os.MFD_CLOEXEC)
    try:
        os.pwrite(descriptor, data, 0)
        yield descriptor
    finally:
        os.close(descriptor)


def add_blob(store: Store, data: bytes) -> Digest:
    digest = Digest(hashlib.sha256(data).hexdigest())
    with memory(data) as descriptor, store.writing():
        store.add_blob(digest, descriptor, len(data))
    return digest


def is_kept(store: Store, digest: Digest) -> bool:
    return (store.root / "blobs" / "sha256" / digest).is_file()


def add_artefact(store: Store, digest: Digest, data: bytes) -> Path:
    with memory(data) as descriptor, store.writing():
        store.add_artefact(digest, ENGINE, descriptor, len(data))
    return store.root / "artefacts" / f"{digest}-{ENGINE}.cwasm"


def content(descriptor: int | None) -> bytes | None:
    """What a sealed memfd holds; closes it."""
    if descriptor is None:
        return None
    try:
        assert fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) == ALL_SEALS
        assert not os.get_inheritable(descriptor)
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    finally:
        os.close(descriptor)


def everything(store: Store) -> set[str]:
    """All files but the lock."""
    files = (path for path in store.root.rglob("*") if path.is_file())
    return {str(path.relative_to(store.root)) for path in files} - {"lock"}


def refusal(error: pytest.ExceptionInfo[StoreError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


# --- records --------------------------------------------------------------------------------


def test_a_saved_record_is_there_for_every_later_reader(store: Store) -> None:
    save(store, record("a"), record("b"))
    assert Store(store.root).records() == {"a": record("a"), "b": record("b")}
    save(store, record("a", description="Adds again."))
    assert Store(store.root).records()[A].tools[0].description == "Adds again."


def test_a_removed_record_is_gone_and_only_once(store: Store) -> None:
    save(store, record("a"), record("b"))
    with store.writing():
        assert store.remove(A)
        assert not store.remove(A)
    assert list(store.records()) == ["b"]


def test_a_store_that_was_never_made_has_no_records_and_is_not_made_by_looking(
    tmp_path: Path,
) -> None:
    store = Store(tmp_path / "deep" / "store")
    assert store.records() == {}
    assert store.generation() == 0
    assert not is_kept(store, Digest("0" * 64))
    assert store.load_artefact(Digest("0" * 64), ENGINE) is None
    assert list(tmp_path.iterdir()) == []


def test_everything_in_the_store_is_for_its_user_alone(tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        store = Store(tmp_path / "deep" / "store")
        digest = add_blob(store, b"component")
        add_artefact(store, digest, b"compiled")
        save(store, record("a", digest=digest))
    finally:
        os.umask(umask)
    modes = {path.stat().st_mode & 0o777 for path in store.root.rglob("*") if path.is_file()}
    assert modes == {0o600}
    folders = [store.root.parent, store.root, *(p for p in store.root.rglob("*") if p.is_dir())]
    assert {path.stat().st_mode & 0o777 for path in folders} == {0o700}


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777], ids=oct)
def test_a_store_that_others_may_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    root = tmp_path / "store"
    root.mkdir()
    root.chmod(mode)
    with pytest.raises(StoreError, match="others than this user may write") as error:
        Store(root).open()
    assert "chmod" in refusal(error)
    root.chmod(0o755)
    Store(root).open()


def test_nothing_is_written_without_the_lock(store: Store) -> None:
    with pytest.raises(RuntimeError, match="only within writing"):
        store.save(record("a"))
    with pytest.raises(RuntimeError, match="only within writing"):
        store.remove(A)
    with pytest.raises(RuntimeError, match="only within writing"):
        store.collect()


def test_every_change_is_another_generation_and_reading_is_not(store: Store) -> None:
    reader = Store(store.root)
    seen = [reader.generation()]
    with store.writing():
        for number in range(300):
            store.save(record("a", description=str(number)))
            seen.append(reader.generation())
        store.remove(A)
        seen.append(reader.generation())
    reader.records()
    assert reader.generation() == seen[-1]
    assert seen == sorted(set(seen))


def damage(store: Store, name: str, data: bytes) -> None:
    (store.root / "components" / name).write_bytes(data)


WHOLE = encoded(record("bad"))


def resealed(text: bytes, instead: bytes) -> bytes:
    """The record as another writer would have kept it."""
    return sealed(unsealed(WHOLE).replace(text, instead))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "its SHA-256 is another one, or none"),
        (WHOLE[:-1], "its SHA-256 is another one, or none"),
        (WHOLE.replace(b"Adds.", b"Odds."), "its SHA-256 is another one, or none"),
        (WHOLE + WHOLE, "its SHA-256 is another one, or none"),
        (b"\xff" * 99, "its SHA-256 is another one, or none"),
        (b"[" * 200_000, "its SHA-256 is another one, or none"),
        (sealed(b"[" * 200_000), "it is no record"),
        (sealed(b'{"id": "\xff"}'), "it is no record"),
        (resealed(b'"source"', b'"sauce"'), "unknown field `sauce`"),
        (resealed(b'"loaded":1.5', b'"loaded":"1.5"'), "Expected `float`, got `str`"),
        (resealed(b'"loaded":1.5,', b""), "missing required field `loaded`"),
        (resealed(b'"format":2', b'"format":3'), "its format is 3, and this version reads 2"),
        (b'{"format":1,"of":"another version"}', "its format is 1, and this version reads 2"),
        (resealed(b"0" * 64, b"0" * 63), "the digest in it is none"),
        (resealed(b"0" * 64, b"../" * 21 + b"x"), "the digest in it is none"),
        (resealed(b'"bad"', b'"a"'), "it is the record of 'a'"),
        (WHOLE + b" " * (4 << 20), "it has more than 4194304 bytes"),
    ],
    ids=lambda value: repr(value[:20]),
)
def test_a_damaged_record_is_left_out_and_reported_and_nothing_else_suffers(
    store: Store, data: bytes, why: str
) -> None:
    save(store, record("a"))
    damage(store, "bad.json", data)
    assert list(store.records()) == ["a"]
    assert list(store.damaged) == ["bad.json"]
    assert why in store.damaged["bad.json"]
    with store.writing():
        store.save(record("b"))
        assert store.remove(ComponentId("bad"))
    assert list(store.records()) == ["a", "b"]
    assert store.damaged == {}


def test_what_is_no_record_file_is_never_waited_for_or_followed(store: Store) -> None:
    components = store.root / "components"
    os.mkfifo(components / "fifo.json")
    (components / "folder.json").mkdir()
    damage(store, "elsewhere", encoded(record("link")))
    (components / "link.json").symlink_to("elsewhere")
    damage(store, "Bad Name.json", encoded(record("Bad Name")))
    damage(store, "note.txt", b"not ours")
    damage(store, ".hidden.json", b"not ours")
    assert store.records() == {}
    assert sorted(store.damaged) == ["Bad Name.json", "fifo.json", "folder.json", "link.json"]


def test_a_record_that_could_not_be_read_again_is_not_saved(store: Store) -> None:
    with store.writing():
        with pytest.raises(StoreError, match="is the most"):
            store.save(record("a", description="x" * (4 << 20)))
        with pytest.raises(StoreError, match="is no component id"):
            store.save(record("../a"))
        with pytest.raises(StoreError, match="is no SHA-256"):
            store.save(record("a", digest="../a"))
    assert everything(store) == set()


# --- bytes ----------------------------------------------------------------------------------


def test_a_blob_is_kept_by_its_digest(store: Store) -> None:
    data = os.urandom(2_500_000)
    digest = add_blob(store, data)
    assert is_kept(store, digest)
    assert content(store.open_blob(digest)) == data
    assert everything(store) == {f"blobs/sha256/{digest}"}


def test_bytes_that_are_not_those_of_the_digest_are_not_kept(store: Store) -> None:
    digest = Digest(hashlib.sha256(b"others").hexdigest())
    with memory(b"component") as descriptor, store.writing():
        with pytest.raises(StoreError, match="others than those announced"):
            store.add_blob(digest, descriptor, 9)
        with pytest.raises(StoreError, match="9 of 10 bytes"):
            store.add_blob(digest, descriptor, 10)
        with pytest.raises(StoreError, match="9 of 10 bytes"):
            store.add_artefact(digest, ENGINE, descriptor, 10)
    assert everything(store) == set()


@pytest.mark.parametrize("data", [b"", b"componenT", b"component and more"])
def test_a_damaged_blob_is_never_given_out_and_is_mended_by_another_load(
    store: Store, data: bytes
) -> None:
    digest = add_blob(store, b"component")
    (store.root / "blobs" / "sha256" / digest).write_bytes(data)
    with pytest.raises(StoreError, match=r"are damaged: .* load the component again") as error:
        store.open_blob(digest)
    refusal(error)
    add_blob(store, b"component")
    assert content(store.open_blob(digest)) == b"component"


def test_a_missing_blob_is_a_clear_error(store: Store) -> None:
    with pytest.raises(StoreError, match=r"No such file.*load the component again"):
        store.open_blob(Digest("0" * 64))


def test_a_blob_of_a_size_that_no_component_has_is_not_read(store: Store) -> None:
    digest = add_blob(store, b"component")
    os.truncate(store.root / "blobs" / "sha256" / digest, 1 << 40)
    with pytest.raises(StoreError, match="are damaged: it has 1099511627776 bytes"):
        store.open_blob(digest)


def test_an_artefact_is_kept_for_one_engine(store: Store) -> None:
    digest = Digest("1" * 64)
    add_artefact(store, digest, b"compiled")
    assert content(store.load_artefact(digest, ENGINE)) == b"compiled"
    assert store.load_artefact(digest, "51.0.0-abc") is None
    add_artefact(store, digest, b"compiled anew")
    assert content(store.load_artefact(digest, ENGINE)) == b"compiled anew"


def test_an_empty_artefact_is_kept_too(store: Store) -> None:
    add_artefact(store, Digest("1" * 64), b"")
    assert content(store.load_artefact(Digest("1" * 64), ENGINE)) == b""


@pytest.mark.parametrize("data", [b"", b"compileD", b"compiled and more"])
def test_a_damaged_artefact_is_none_and_is_deleted(store: Store, data: bytes) -> None:
    path = add_artefact(store, Digest("1" * 64), b"compiled")
    path.write_bytes(data)
    assert store.load_artefact(Digest("1" * 64), ENGINE) is None
    assert everything(store) == set()


@pytest.mark.parametrize("kept", [b"", b"0" * 64 + b" 8 x\n", b"x" * 800, b"\xff 8 x\n"])
def test_an_artefact_whose_digest_is_damaged_is_none_and_is_deleted(
    store: Store, kept: bytes
) -> None:
    path = add_artefact(store, Digest("1" * 64), b"compiled")
    path.with_name(f"{path.name}.sha256").write_bytes(kept)
    assert store.load_artefact(Digest("1" * 64), ENGINE) is None
    assert everything(store) == set()


def test_compiled_code_of_another_component_is_none_even_with_its_digest(store: Store) -> None:
    one = add_artefact(store, Digest("1" * 64), b"compiled")
    other = add_artefact(store, Digest("2" * 64), b"compiled of another")
    for suffix in ("", ".sha256"):
        first, second = (path.with_name(path.name + suffix) for path in (one, other))
        swapped = first.read_bytes(), second.read_bytes()
        second.write_bytes(swapped[0])
        first.write_bytes(swapped[1])
    assert list(store.damaged_artefacts()) == [one, other]
    assert set(store.damaged_artefacts().values()) == {
        "it was compiled of another component, or for another engine"
    }
    assert store.load_artefact(Digest("1" * 64), ENGINE) is None
    assert store.load_artefact(Digest("2" * 64), ENGINE) is None


def test_compiled_code_that_was_renamed_for_another_engine_is_none(store: Store) -> None:
    path = add_artefact(store, Digest("1" * 64), b"compiled")
    renamed = path.with_name(f"{'1' * 64}-51.0.0-abc.cwasm")
    path.with_name(f"{path.name}.sha256").rename(f"{renamed}.sha256")
    path.rename(renamed)
    assert store.load_artefact(Digest("1" * 64), "51.0.0-abc") is None
    assert everything(store) == set()


@pytest.mark.parametrize("kind", ["fifo", "folder", "link"])
def test_what_is_no_file_in_place_of_compiled_code_stops_no_call(store: Store, kind: str) -> None:
    path = add_artefact(store, Digest("1" * 64), b"compiled")
    path.rename(f"{path}.moved")
    match kind:
        case "fifo":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
            (path / "note").write_text("mine")
        case _:
            path.symlink_to(f"{path}.moved")
    assert store.load_artefact(Digest("1" * 64), ENGINE) is None
    add_artefact(store, Digest("1" * 64), b"compiled")
    assert content(store.load_artefact(Digest("1" * 64), ENGINE)) == b"compiled"
    kept = [each for each in path.parent.glob(".aside-*/note") if each.read_text() == "mine"]
    assert len(kept) == (kind == "folder")


def test_a_damaged_artefact_is_left_to_whoever_is_writing(store: Store) -> None:
    path = add_artefact(store, Digest("1" * 64), b"compiled")
    path.write_bytes(b"halfway")
    with Store(store.root).writing():
        assert store.load_artefact(Digest("1" * 64), ENGINE) is None
        assert path.exists()


@pytest.mark.parametrize("name", ["", "../x", "a/b", "x" * 101, "0\n"])
def test_a_name_that_would_leave_the_folder_is_refused(store: Store, name: str) -> None:
    with pytest.raises(StoreError, match="is no engine's name"):
        store.load_artefact(Digest("0" * 64), name)
    with pytest.raises(StoreError, match="is no SHA-256"):
        store.load_artefact(Digest(name), ENGINE)
    with pytest.raises(StoreError, match="is no SHA-256"):
        store.open_blob(Digest(name))
    with store.writing(), pytest.raises(StoreError, match="is no component id"):
        store.remove(ComponentId(name))


def test_collecting_deletes_what_no_record_names_and_what_killed_writers_left(
    store: Store,
) -> None:
    named, unnamed, shim = (add_blob(store, data) for data in (b"named", b"unnamed", b"shim"))
    for digest in (named, unnamed, shim):
        add_artefact(store, digest, b"compiled")
    for folder in ("components", "artefacts", "blobs/sha256"):
        (store.root / folder / ".tmp-left").write_bytes(b"half")
    (store.root / "artefacts" / "note").write_bytes(b"not ours")
    with store.writing():
        store.save(record("a", digest=named))
        store.collect(keep=[shim])
    artefacts = {f"artefacts/{d}-{ENGINE}.cwasm" for d in (named, shim)}
    assert everything(store) == {
        "components/a.json",
        "artefacts/note",
        *(f"blobs/sha256/{d}" for d in (named, shim)),
        *artefacts,
        *(f"{path}.sha256" for path in artefacts),
    }


def test_collecting_deletes_policies_and_secrets_of_components_that_are_not_there(
    store: Store,
) -> None:
    save(store, record("a"))
    damage(store, "bad.json", b"")
    store.secrets.mkdir()
    kept = [
        *("components/a.json", "components/bad.json"),
        *("components/a.policy.yaml", "components/bad.policy.yaml"),
        *("secrets/a.json", "secrets/bad.json", "secrets/note", "components/note.yaml"),
    ]
    gone = ["components/gone.policy.yaml", "secrets/gone.json", "secrets/.tmp-left"]
    for name in [*kept[2:], *gone]:
        (store.root / name).write_bytes(b"something")
    (store.root / "components" / "folder.policy.yaml").mkdir()
    with store.writing():
        store.collect()
    assert everything(store) == set(kept)


def test_collecting_deletes_the_digest_of_an_artefact_that_is_not_there(store: Store) -> None:
    digest = add_blob(store, b"component")
    add_artefact(store, digest, b"compiled").unlink()
    save(store, record("a", digest=digest))
    with store.writing():
        store.collect()
    assert everything(store) == {"components/a.json", f"blobs/sha256/{digest}"}


def test_collecting_keeps_all_bytes_while_a_record_is_damaged(store: Store) -> None:
    digest = add_blob(store, b"perhaps its")
    damage(store, "bad.json", b"")
    with store.writing():
        store.collect()
        assert is_kept(store, digest)
        store.remove(ComponentId("bad"))
        store.collect()
    assert everything(store) == set()


# --- several writers ------------------------------------------------------------------------


@contextmanager
def child(script: str, *arguments: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    """A Python process whose output is read by line; killed at the end."""
    with subprocess.Popen(  # noqa: S603 - this Python, our script
        [sys.executable, "-c", script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream


SAVER = f"""
import hashlib, pathlib, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_store import Store, add_blob, memory, record, save
"""
HOLDER = (
    SAVER
    + """
with Store(pathlib.Path(sys.argv[1])).writing("load weather"):
    print("held", flush=True)
    sys.stdin.read()
"""
)
MANY = (
    SAVER
    + """
store = Store(pathlib.Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for number in range(40):
    data = f"{sys.argv[2]} {number}".encode()
    digest = hashlib.sha256(data).hexdigest()
    with memory(data) as descriptor, store.writing():
        store.add_blob(digest, descriptor, len(data))
        store.save(record("shared", digest=digest))
        store.save(record(f"{sys.argv[2]}{number}", digest=digest))
        store.collect()
"""
)
ENDLESS = (
    SAVER
    + """
store = Store(pathlib.Path(sys.argv[1]))
for number in range(int(sys.argv[2]), 1 << 30):
    save(store, record("a", description=f"{number} " + "x" * 300_000))
    print(number, flush=True)
"""
)


def test_a_writer_that_waits_too_long_is_told_who_keeps_it_and_why(tmp_path: Path) -> None:
    with child(HOLDER, tmp_path / "store") as holder:
        assert pipe(holder.stdout).readline() == b"held\n"
        waiter = Store(tmp_path / "store", lock_wait_s=0.05)
        with pytest.raises(StoreError) as error, waiter.writing():
            pass
        text = refusal(error)
        assert f"process {holder.pid}, to load weather" in text
        assert f"{tmp_path}/store" in text
        assert waiter.records() == {}
        pipe(holder.stdin).close()
        assert holder.wait(10) == 0
    save(waiter, record("a"))
    assert (tmp_path / "store" / "lock").read_bytes() == b""


def test_a_killed_writer_keeps_nobody_out(tmp_path: Path) -> None:
    store = Store(tmp_path / "store", lock_wait_s=10)
    with child(HOLDER, store.root) as holder:
        assert pipe(holder.stdout).readline() == b"held\n"
        holder.kill()
        save(store, record("a"))


def test_threads_of_one_process_take_turns_too(store: Store) -> None:
    inside: list[int] = []
    most: list[int] = []

    def write(number: int) -> None:
        for _ in range(20):
            with store.writing():
                inside.append(number)
                most.append(len(inside))
                store.save(record(f"c{number}"))
                inside.remove(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 80
    assert len(store.records()) == 4


def test_two_processes_that_write_at_once_lose_nothing_of_each_other(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    with child(MANY, store.root, "x") as one, child(MANY, store.root, "y") as other:
        for process in (one, other):
            assert pipe(process.stdout).readline() == b"ready\n"
        for process in (one, other):
            pipe(process.stdin).write(b"\n")
            pipe(process.stdin).flush()
        while one.poll() is None or other.poll() is None:
            store.records()
            assert store.damaged == {}
        assert (one.returncode, other.returncode) == (0, 0)
    records = store.records()
    expected = {f"{letter}{number}" for letter in "xy" for number in range(40)}
    assert set(records) == {"shared", *expected}
    assert all(is_kept(store, each.digest) for each in records.values())


def test_a_writer_killed_while_saving_leaves_the_old_or_the_new_record_whole(
    tmp_path: Path,
) -> None:
    store = Store(tmp_path / "store")
    acknowledged = 0
    for kept in range(1, 13):
        with child(ENDLESS, store.root, str(acknowledged + 1)) as writer:
            for _ in range(kept):
                acknowledged = int(pipe(writer.stdout).readline())
            writer.send_signal(signal.SIGKILL)
            # Those that it finished before the signal came.
            acknowledged = max([acknowledged, *map(int, pipe(writer.stdout).readlines())])
        found = store.records()[A]
        assert store.damaged == {}
        number, rest = found.tools[0].description.split()
        # At most one was whole and not yet acknowledged.
        assert int(number) in {acknowledged, acknowledged + 1}
        assert rest == "x" * 300_000
        acknowledged = int(number)
    with store.writing():
        store.collect()
    assert everything(store) == {"components/a.json"}


# --- a system that refuses ------------------------------------------------------------------


def test_a_store_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store").write_bytes(b"")
    for root in (tmp_path / "store", tmp_path / "store" / "below"):
        with pytest.raises(StoreError, match="another folder with --component-dir") as error:
            Store(root).open()
        assert str(tmp_path / "store") in refusal(error)
        with pytest.raises(StoreError, match="Not a directory"):
            Store(root).records()


@pytest.mark.parametrize("kind", ["folder", "fifo", "link"])
def test_what_is_no_file_in_place_of_the_lock_is_refused(store: Store, kind: str) -> None:
    lock = store.root / "lock"
    lock.unlink()
    match kind:
        case "folder":
            lock.mkdir()
        case "fifo":
            os.mkfifo(lock)
        case _:
            lock.symlink_to("elsewhere")
    with pytest.raises(StoreError, match="is no regular file; remove it, it holds nothing"):
        store.open()
    assert store.records() == {}


PREPARED = (
    SAVER
    + """
import os, resource
from wassette_supervisor.errors import StoreError

def tried(deed):
    try:
        deed()
    except StoreError as error:
        print(error)
    else:
        print("done")
"""
)
# A user who may read but not write: root gives up being root. Python has all modules by now.
UNPRIVILEGED = (
    PREPARED
    + """
os.chdir(sys.argv[1])
if os.geteuid() == 0:
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
store = Store(pathlib.Path("store"))
tried(store.open)
tried(lambda: save(store, record("b")))
tried(Store(pathlib.Path("new")).open)
print(list(store.records()))
"""
)
# A file system of 64 KiB and 16 files; filled, emptied, made read-only.
TINY_DISK = (
    PREPARED
    + """
store = Store(pathlib.Path(sys.argv[1]) / "store")
save(store, record("a"))
before = store.generation()
tried(lambda: save(store, record("a", description="x" * 100_000)))
tried(lambda: add_blob(store, b"x" * 100_000))
def everything():
    return sorted(p.name for p in store.root.rglob("*") if p.is_file())
print(everything(), store.records() == {"a": record("a")})
filler = pathlib.Path(sys.argv[1], "filler")
with filler.open("wb", buffering=0) as file:
    try:
        while file.write(b"x" * 4096): pass
    except OSError: pass
tried(lambda: save(store, record("b")))
others = pathlib.Path(sys.argv[1], "others")
others.mkdir()
try:
    for number in range(100): (others / str(number)).touch()
except OSError: pass
tried(lambda: save(store, record("b")))
tried(Store(pathlib.Path(sys.argv[1]) / "other").open)
print(everything(), store.records() == {"a": record("a")})
filler.unlink()
for path in others.iterdir(): path.unlink()
tried(lambda: save(store, record("b")))
os.system(f"mount -o remount,bind,ro {sys.argv[1]}")
tried(store.open)
tried(lambda: save(store, record("c")))
print(list(store.records()))
"""
)
SMALL_FILES = (
    PREPARED
    + """
store = Store(pathlib.Path(sys.argv[1]))
save(store, record("a"))
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
tried(lambda: save(store, record("a", description="x" * 100_000)))
print(store.records() == {"a": record("a")}, os.listdir(store.root / "components"))
"""
)


def said(script: str, *arguments: str | Path, prefix: tuple[str, ...] = ()) -> list[str]:
    command = [*prefix, sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(  # noqa: S603 - this Python, our script
        command, capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def tiny_disk(folder: Path) -> tuple[str, ...]:
    """What to put before a command to give it a disk of its own there."""
    mount = 'mount -t tmpfs -o size=64k,nr_inodes=16 none "$0" && exec "$@"'
    new_user = () if os.geteuid() == 0 else ("--map-root-user",)
    prefix = ("unshare", *new_user, "--mount", "sh", "-c", mount, str(folder))
    tried = subprocess.run([*prefix, "true"], capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    if tried.returncode != 0:
        reason = f"NOT RUN: tests of a full disk: this system forbids mounts: {tried.stderr}"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    return prefix


def test_a_disk_that_fills_or_is_read_only_is_a_clear_error_and_nothing_is_half_written(
    tmp_path: Path,
) -> None:
    big, blob, first, full, no_inode, other, second, mended, ro_open, ro_save, last = said(
        TINY_DISK, tmp_path, prefix=tiny_disk(tmp_path)
    )
    for text in (big, blob, full, no_inode, other):
        assert "No space left on device; free some space on its disk and try again" in text
    assert big.startswith(f"can't write {tmp_path}/store/components/a.json: ")
    assert blob.startswith(f"can't write {tmp_path}/store/blobs/sha256/")
    assert other.startswith(f"can't make {tmp_path}/other/blobs/sha256: ")
    assert first == second == "['a.json', 'lock'] True"
    assert mended == "done"
    for text in (ro_open, ro_save):
        assert text.startswith(f"can't write to {tmp_path}/store/lock: Read-only file system; ")
        assert text.endswith("choose another folder with --component-dir")
    assert last == "['a', 'b']"


def test_a_store_that_may_only_be_read_is_listed_and_not_written(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    save(store, record("a"))
    for path in (tmp_path, *store.root.rglob("*"), store.root):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        opened, saved, made, listed = said(UNPRIVILEGED, tmp_path)
    finally:
        for path in (tmp_path, store.root, *store.root.rglob("*")):
            path.chmod(0o700)
    assert opened == saved
    assert opened == (
        "can't write to store/lock: Permission denied; give this user write access to it, "
        "or choose another folder with --component-dir"
    )
    assert made.startswith("can't make new/blobs/sha256: Permission denied; ")
    assert listed == "['a']"


def test_a_limit_on_the_size_of_files_is_a_clear_error_and_the_old_record_stays(
    tmp_path: Path,
) -> None:
    text, after = said(SMALL_FILES, tmp_path / "store")
    path = tmp_path / "store" / "components" / "a.json"
    why = "File too large; raise the limit on the size of files (ulimit -f) and try again"
    assert text == f"can't write {path}: {why}"
    assert after == "True ['a.json']"


def test_the_greatest_record_is_taken_and_one_byte_more_is_not(store: Store) -> None:
    room = MAX_RECORD_BYTES - len(encoded(record("a", description="")))
    with store.writing():
        store.save(record("a", description="x" * room))
        with pytest.raises(StoreError, match="has 4194305 bytes"):
            store.save(record("a", description="x" * (room + 1)))
    assert list(store.records()) == ["a"]
    assert store.damaged == {}
