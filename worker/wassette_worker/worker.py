"""A worker's life after its lock-down: be granted, instantiate, take one call, answer, end."""

from __future__ import annotations

import resource
import time
from functools import partial
from typing import TYPE_CHECKING

import msgspec
from wasmtime import WasmtimeError

from wassette_protocol import frames
from wassette_protocol.codec import PeerViolation
from wassette_protocol.frames import Ending, Usage
from wassette_worker import attempts, traps
from wassette_worker.guest import Guest, NoThreadError, Running
from wassette_worker.json_values import BadValue, ResultTooLarge
from wassette_worker.sandbox import rlimits
from wassette_worker.traps import Cause

if TYPE_CHECKING:
    from wasmtime import WasiConfig

    from wassette_worker.channel import Stream
    from wassette_worker.sandbox.doorbell import Bell


def live(
    channel: Stream[frames.ToWorker],
    guest: Guest,
    config: WasiConfig,
    steps: list[str],
    bell: Bell,
) -> None:
    """Serve one call; the caller ends the process afterwards, whatever happened."""
    channel.start(frames.Started(steps), bell.descriptor)
    prove_alive(channel)
    grant, directories = channel.receive_granted()
    if not isinstance(grant, frames.Grant):
        return
    if grant.file_size is not None:
        rlimits.limit_files(grant.file_size)
    try:
        running = Running(guest, config, grant, directories, partial(_tell, channel))
    except NoThreadError:
        channel.send(frames.Ended(Ending.NO_THREAD, "", Usage()))
        return
    try:
        running.instantiate()
    except WasmtimeError as error:
        channel.send(_ended(running, _cause(running, guest, error), Usage()))
        return
    instantiate_us = (time.monotonic_ns() - running.started_ns) // 1000
    channel.send(frames.Instantiated(instantiate_us))
    asked = channel.receive()
    if isinstance(asked, frames.Run):
        guest.may_ask(partial(_ask, channel))
        channel.send(_serve(running, guest, asked, instantiate_us))
    elif isinstance(asked, frames.Try):
        channel.send(frames.Tried(attempts.make(asked)))


def prove_alive(channel: Stream[frames.ToWorker] | Stream[frames.ToCompiler]) -> None:
    """Answer the supervisor's echo: it has opened a pidfd and must know that it is ours."""
    echo = channel.receive()
    if isinstance(echo, frames.Echo):
        channel.send(frames.Echoed(echo.nonce))


def _tell(channel: Stream[frames.ToWorker], opened: frames.FileOpened) -> None:
    """Wait until an open is on record."""
    channel.send(opened)
    if not isinstance(channel.receive(), frames.Recorded):
        raise PeerViolation("an open was not recorded")


def _ask(
    channel: Stream[frames.ToWorker], wanted: frames.HttpRequested
) -> frames.HttpAllowed | frames.HttpRefused:
    """Have a request decided."""
    channel.send(wanted)
    answer = channel.receive()
    if not isinstance(answer, frames.HttpAllowed | frames.HttpRefused):
        raise PeerViolation("a request was not decided")
    return answer


def _serve(running: Running, guest: Guest, run: frames.Run, instantiate_us: int) -> frames.Frame:
    began = time.monotonic_ns()
    call = guest.calls.get(run.export)
    if call is None:
        return frames.Refused("", "an export of the component", run.export.function)
    try:
        arguments = call.arguments(_decode(run.arguments))
    except BadValue as error:
        return frames.Refused(error.pointer, error.expected, error.got)
    except MemoryError:
        return _ended(running, Cause(Ending.MEMORY, "the arguments don't fit"), Usage())
    converted = time.monotonic_ns()

    def usage() -> Usage:
        return Usage(
            fuel=running.fuel_used(),
            peak_memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10,
            instantiate_us=instantiate_us,
            convert_us=(converted - began) // 1000,
            call_us=(time.monotonic_ns() - converted) // 1000,
            missing=guest.config.missing,
            refused=guest.files.refused if guest.files is not None else [],
        )

    try:
        outcome = running.invoke(run.export, call, arguments)
    except WasmtimeError as error:
        return _ended(running, _cause(running, guest, error), usage())
    except ResultTooLarge:
        return _ended(running, Cause(Ending.RESULT, ""), usage())
    if running.is_late():
        # A guest that was woken at the deadline may still return before the epoch ends it.
        return _ended(running, Cause(Ending.EPOCH, "interrupt"), usage())
    return frames.Returned(outcome.json, outcome.failed, usage())


def _decode(arguments: bytes) -> dict[str, object]:
    try:
        decoded = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadValue("", "an object of JSON", "something else") from error
    if not isinstance(decoded, dict):
        raise BadValue.came("an object", decoded)
    return decoded


def _cause(running: Running, guest: Guest, error: WasmtimeError) -> Cause:
    return traps.classify(
        error, memory_limit=guest.limits.memory, memory_used=running.memory_used()
    )


def _ended(running: Running, cause: Cause, usage: Usage) -> frames.Ended:
    # A trap of the guest's own choice after its deadline is the deadline's doing: the engine
    # ends it inside of whatever it does, for example a start of another instance.
    if cause.ending is Ending.TRAP and running.is_late():
        cause = Cause(Ending.EPOCH, cause.detail)
    return frames.Ended(cause.ending, cause.detail, usage)
