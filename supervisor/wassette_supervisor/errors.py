"""The errors that the supervisor raises to its callers.

Each carries its facts as fields. Its text is one line that says what happened, why, and what to
do; it is shown to people and to models, so words that came from a guest are bounded in it.
"""

from __future__ import annotations

import signal as signals

MAX_DETAIL_CHARACTERS = 300


def one_line(text: str) -> str:
    """Bound foreign text and take what could break the line, or a terminal, out of it."""
    cut = text[: MAX_DETAIL_CHARACTERS + 1]
    plain = " ".join("".join(c if c.isprintable() else " " for c in cut).split())
    return plain if len(cut) <= MAX_DETAIL_CHARACTERS else plain[: MAX_DETAIL_CHARACTERS - 1] + "…"


class SupervisorError(Exception):
    """Base of the family."""


class UsageError(SupervisorError):
    """A flag, a setting or a command can't be used as it was written."""


class LoadError(SupervisorError):
    """A component could not be loaded."""


class IdTakenError(LoadError):
    """Another component has the id."""


class StoreError(SupervisorError):
    """The store could not be read or written."""


class AuditError(SupervisorError):
    """The audit log could not be read or written; what it should have recorded was not done."""


class PolicyError(SupervisorError):
    """A policy, or a rule of one, says what can't be granted as it is written.

    `line` and `column` count from 1; None where the words came from no file.
    """

    def __init__(
        self, what: str, instead: str, *, line: int | None = None, column: int | None = None
    ) -> None:
        self.line = line
        self.column = column
        self.what = what
        self.instead = instead
        where = "" if line is None else f"line {line}, column {column}: "
        super().__init__(f"{where}{one_line(what)}; {one_line(instead)}")


class OperatorNeededError(SupervisorError):
    """Only an operator can mend it, with a command of these words."""

    def __init__(self, why: str, *words: str) -> None:
        self.why = why
        self.words = words
        super().__init__(f"{why}; have the operator run: wassette-supervisor {' '.join(words)}")


class UnknownComponentError(SupervisorError):
    def __init__(self, component: str) -> None:
        self.component = component
        super().__init__(
            f"no component is called {one_line(component)!r}; list the components to see their ids"
        )


class UnknownToolError(SupervisorError):
    def __init__(self, tool: str) -> None:
        self.tool = tool
        super().__init__(f"no tool is called {one_line(tool)!r}; list the tools to see their names")


class CallError(SupervisorError):
    """A call ended without a result.

    `output` is the last of what the guest wrote before; `missing` are variables that it asked
    for and did not get, `denied` paths of the host that its rules refused, each with the access,
    in its worker's words; `hosts` those of requests that no rule allowed.
    """

    output = ""
    missing: tuple[str, ...] = ()
    denied: tuple[tuple[str, str], ...] = ()
    hosts: tuple[str, ...] = ()


class BusyError(CallError):
    """The call was not started."""

    def __init__(self, running: int, queue: int) -> None:
        self.running = running
        self.queue = queue
        super().__init__(
            f"busy: {running} calls are running and {queue} are waiting, which is all this server "
            "takes; try again when one has ended"
        )


class IsolationUnavailableError(CallError):
    """The system can't hold a worker as the operator requires; the call was not started."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"the tool was not run because this system can't isolate it: {one_line(reason)}; "
            "SECURITY.md names what a worker needs, and --log-level debug shows more"
        )


class RestingError(CallError):
    """What would have to be started ended too often of late; the call was not started."""

    def __init__(self, what: str, ends: int, within_s: float, rests_s: float) -> None:
        self.rests_s = rests_s
        super().__init__(
            f"the tool was not run: {what} ended {ends} times within {within_s:.0f} s, so it is "
            f"not started again for {max(1, round(rests_s))} s; call again then, and have the "
            "operator look into the server's log if it goes on"
        )


class HeldBackError(CallError):
    """The component's processes crashed too often; the call was not started."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"the tool was not run: {why}; have the operator look into it")


class NoRoomError(CallError):
    """The system gave the server no descriptor, process or memory for the call."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"the system has no room for this call: {one_line(reason)}; try again when others have "
            "ended, or have the operator raise the limits that the server runs under (ulimit -a)"
        )


class NoThreadError(NoRoomError):
    """The process of the call aborted where the system had no thread for it; that is no crash."""

    def __init__(self) -> None:
        super().__init__("the process of the call got no thread")


class BadArgumentsError(CallError):
    """The arguments don't fit the tool's types; the guest was not entered."""

    def __init__(self, pointer: str, expected: str, got: str) -> None:
        self.pointer = pointer  # RFC 6901
        self.expected = expected
        self.got = got
        where = f"the argument at {one_line(pointer)}" if pointer else "the arguments"
        super().__init__(
            f"{where} should be {one_line(expected)}, not {one_line(got)}; "
            "correct it and call the tool again"
        )


class TrappedError(CallError):
    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(
            f"the tool failed by a fault of its own ({one_line(detail)}); the same arguments will "
            "most likely fail again"
        )


class GuestExitedError(CallError):
    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(
            f"the tool ended itself with exit status {code} before it gave a result; the same "
            "arguments will most likely fail again"
        )


class LimitExceededError(CallError):
    """`limit` is the name that `--limit` takes, `value` what it is set to."""

    def __init__(self, limit: str, value: str, detail: str) -> None:
        self.limit = limit
        self.value = value
        self.detail = detail
        why = f" ({one_line(detail)})" if detail else ""
        super().__init__(
            f"the call reached its limit {limit}={value}{why}; ask for less at once, or have the "
            f"operator raise it, with --limit {limit}=VALUE or in the component's policy"
        )


class WorkerDiedError(CallError):
    """The process of the call died of a signal, or ended with a status, without an answer."""

    advice = "other calls are not affected, and this one may be tried again"

    def __init__(self, *, signal: int | None = None, status: int | None = None, cause: str) -> None:
        self.signal = signal
        self.status = status
        self.cause = cause
        self.death = _death(signal, status)
        super().__init__(
            f"the process of the call died of {self.death}: {one_line(cause)}; {self.advice}"
        )


class ForbiddenCallError(WorkerDiedError):
    """The kernel ended the process of the call for a system call that its filter has not."""

    advice = (
        "other calls are not affected; don't trust this component before its publisher or operator "
        "has looked into it"
    )

    def __init__(self) -> None:
        super().__init__(
            signal=signals.SIGSYS, cause="it made a system call that its sandbox forbids"
        )


class WorkerViolatedError(CallError):
    """The process of the call sent what no honest one sends, and was killed for it."""

    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(
            f"the process of the call was killed because it misbehaved ({one_line(detail)}); don't "
            "trust this component before its publisher or operator has looked into it"
        )


# What an honest engine and guest never die of. SIGKILL and SIGTERM come from outside, and what runs
# into a resource limit has signals of its own.
_CRASHES = {
    signals.SIGABRT,
    signals.SIGBUS,
    signals.SIGFPE,
    signals.SIGILL,
    signals.SIGSEGV,
    signals.SIGSYS,
    signals.SIGTRAP,
}


def is_crash(error: CallError) -> bool:
    """Whether a process ended as only a hole in the engine, or an attack on it, has it end."""
    if isinstance(error, WorkerDiedError):
        return error.signal in _CRASHES
    return isinstance(error, WorkerViolatedError)


def _death(signal: int | None, status: int | None) -> str:
    if signal is None:
        return f"exit status {status}" if status is not None else "an unknown cause"
    try:
        return signals.Signals(signal).name
    except ValueError:
        return f"signal {signal}"
