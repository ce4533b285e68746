"""A component whose processes crash again and again is not called until it is released."""

from __future__ import annotations

import json
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from support import guests, rogue, served
from wassette_supervisor import settings
from wassette_supervisor.app import open_backend
from wassette_supervisor.components.quarantine import QuarantinedError
from wassette_supervisor.errors import TrappedError, WorkerDiedError
from wassette_supervisor.pool.restarts import CRASHES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from wassette_supervisor.components.registry import Registry

BORNE = CRASHES.ends
OTHER_BYTES = b"\0\1\0"  # an empty section of nobody's: other bytes of the same component


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return served.make_store(tmp_path_factory.mktemp("filled") / "store", ["add", "traps"])


@pytest.fixture
def store(filled: Path, tmp_path: Path) -> Path:
    return served.copy_of(filled, tmp_path / "store")


def server(store: Path, **changes: object) -> AbstractAsyncContextManager[Registry]:
    """What a server runs its calls with; its workers crash when they are told to."""
    given = settings.load({"component_dir": store, **changes}, {"HOME": "/nonexistent"})
    return open_backend(given, zygote=rogue.crashing_program(store))


async def adds(backend: Registry) -> bool:
    with anyio.fail_after(30):
        return (await backend.call("add", {"a": 2, "b": 3})).value == {"result": 5}


async def crash(backend: Registry, number: signal.Signals = signal.SIGSEGV) -> None:
    with anyio.fail_after(30), pytest.raises(WorkerDiedError, match=number.name):
        await backend.call("add", {"a": rogue.CRASH + number, "b": 0})


def state_of(store: Path, component: str) -> tuple[str, str | None]:
    done = served.operate(store, "component", "list")
    listed = {entry["id"]: entry for entry in json.loads(done.stdout)["components"]}
    return listed[component]["state"], listed[component].get("reason")


def events(store: Path, *names: str) -> list[dict[str, Any]]:
    lines = served.operate(store, "audit").stdout.decode().splitlines()
    return [entry for entry in map(json.loads, lines) if entry["event"] in names]


async def test_a_component_that_keeps_crashing_is_refused_until_it_is_released(
    store: Path,
) -> None:
    async with server(store) as backend:
        for _ in range(BORNE):
            await crash(backend)
            assert await adds(backend)
        assert state_of(store, "add") == ("ready", None)
        await crash(backend)

        with pytest.raises(QuarantinedError) as refused:
            await adds(backend)
        assert "5 of its component's processes crashed or misbehaved" in refused.value.why
        assert "the last one died of SIGSEGV" in refused.value.why
        assert refused.value.words == ("component", "release", "add")
        state, reason = state_of(store, "add")
        assert state == "quarantined"
        assert reason is not None
        assert reason in refused.value.why
        with pytest.raises(TrappedError):
            await backend.call("trap-unreachable", {})

        released = served.operate(store, "component", "release", "add")
        assert json.loads(released.stdout) == {"id": "add", "status": "released"}
        # It may crash as often again.
        for _ in range(BORNE):
            assert await adds(backend)
            await crash(backend)
        assert await adds(backend)
    quarantine, refusal, release = events(store, "quarantine", "refusal", "release")
    assert quarantine["detail"] == {"why": reason}
    assert refusal["detail"]["why"] == str(refused.value)
    assert (release["event"], release["decision"]) == ("release", "allowed")


async def test_a_quarantine_outlives_its_server_and_its_bytes_loaded_again(store: Path) -> None:
    async with server(store) as backend:
        for number in (*[signal.SIGSYS] * BORNE, signal.SIGABRT):
            await crash(backend, number)
        # A call of another server, which has counted nothing, is refused as well.
        async with server(store) as other:
            with pytest.raises(QuarantinedError, match="SIGABRT"):
                await adds(other)
    done = served.operate(store, "component", "load", guests.guest_path("add"))
    assert b"'add' stays quarantined" in done.stderr
    assert state_of(store, "add")[0] == "quarantined"


async def test_bytes_that_crashed_are_quarantined_under_any_name(
    store: Path, tmp_path: Path
) -> None:
    async with server(store) as backend:
        for _ in range(BORNE + 1):
            await crash(backend)
    same, other = tmp_path / "same.wasm", tmp_path / "other.wasm"
    same.write_bytes(guests.guest_path("add").read_bytes())
    other.write_bytes(guests.guest_path("add").read_bytes() + OTHER_BYTES)
    done = served.operate(store, "component", "load", same)
    assert b"'same' stays quarantined" in done.stderr
    served.load(store, other)
    assert state_of(store, "same")[0] == "quarantined"
    assert state_of(store, "other") == ("ready", None)


async def test_what_is_no_crash_is_never_held_against_a_component(store: Path) -> None:
    async with server(store) as backend:
        for _ in range(BORNE + 2):
            with pytest.raises(TrappedError):
                await backend.call("trap-unreachable", {})
            await crash(backend, signal.SIGKILL)
        assert await adds(backend)
    assert state_of(store, "add") == ("ready", None)
    assert state_of(store, "traps") == ("ready", None)


async def test_a_quarantine_that_can_not_be_kept_yet_holds_all_the_same(store: Path) -> None:
    async with server(store) as backend:
        for _ in range(BORNE):
            await crash(backend)
        with unwritable(store):
            await crash(backend)
            for _ in range(2):
                with pytest.raises(QuarantinedError):
                    await adds(backend)
            assert state_of(store, "add") == ("ready", None)
        with pytest.raises(QuarantinedError):
            await adds(backend)
        assert state_of(store, "add")[0] == "quarantined"


@contextmanager
def unwritable(store: Path) -> Iterator[None]:
    """Nothing can be written to the store: its lock, which every writer takes, is no file."""
    lock = store / "lock"
    lock.unlink(missing_ok=True)
    lock.mkdir()
    try:
        yield
    finally:
        lock.rmdir()


async def test_calls_that_wait_when_their_component_is_quarantined_end_with_it(
    store: Path,
) -> None:
    ended: list[Exception] = []

    async def crash_too() -> None:
        try:
            await backend.call("add", {"a": rogue.CRASH + signal.SIGSEGV, "b": 0})
        except Exception as error:  # noqa: BLE001 - looked at below
            ended.append(error)

    async with server(store, max_workers=1, queue=50) as backend:
        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                for _ in range(50):
                    tasks.start_soon(crash_too)
    crashed = [error for error in ended if isinstance(error, WorkerDiedError)]
    assert len(ended) == 50
    assert len(crashed) == BORNE + 1


def test_a_release_of_what_is_not_quarantined_changes_nothing(store: Path) -> None:
    done = served.operate(store, "component", "release", "add")
    assert json.loads(done.stdout) == {"id": "add", "status": "ready"}
    unknown = served.operate(store, "component", "release", "nobody")
    assert unknown.returncode == 1
    assert b"no component is called 'nobody'" in unknown.stderr
    assert events(store, "release") == []
