"""One exported function as JSON in and JSON out: made once, called as often as it is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from wassette_worker import component_values as cv
from wassette_worker import wit_types as wit
from wassette_worker.bad_value import BadValue
from wassette_worker.component_values import check_layout
from wassette_worker.json_arguments import Members
from wassette_worker.json_results import Budget, ResultReader, ResultTooLarge, reader

if TYPE_CHECKING:
    from wasmtime._store import Storelike
    from wasmtime.component import Func

__all__ = ["Arguments", "BadValue", "Call", "Outcome", "ResultTooLarge", "check_layout"]


@dataclass(frozen=True, slots=True)
class Arguments:
    """Checked arguments, laid out for the engine; they may be used again."""

    address: int
    count: int
    arena: cv.Arena  # keeps them alive


class Outcome(NamedTuple):
    """What a function gave."""

    json: bytes  # `{"result": value}`, or `{}` without a value
    failed: bool  # the function's own `result` was an error: the value is that error


class Call:
    """A function's type, worked out; `check_layout` must have passed before any is used.

    Not for two threads at once.
    """

    def __init__(self, signature: wit.Signature) -> None:
        self._names = cv.Arena()
        self._params = Members(signature.params, self._names, stride=cv.VALUE_SIZE, at=0)
        self._count = len(signature.params)
        self._budget = Budget()
        result = signature.result
        self._own = ResultReader(result, self._budget) if isinstance(result, wit.Result) else None
        self._has_value = result is not None
        self._has_ok = result.ok is not None if isinstance(result, wit.Result) else False
        self._read = reader(result, self._budget) if result is not None else None

    def arguments(self, values: dict[str, Any]) -> Arguments:
        """Check decoded JSON against the parameters' types.

        Raises:
            BadValue: One does not fit, is missing, or is not known.
        """
        arena = cv.Arena()
        memory, at, address = arena.take(self._count * cv.VALUE_SIZE)
        self._params.put(values, arena, memory, at)
        return Arguments(address, self._count, arena)

    def invoke(
        self, store: Storelike, func: Func, arguments: Arguments, *, max_bytes: int
    ) -> Outcome:
        """Call the guest's function, which must be of this type, and say what it gave as JSON.

        Raises:
            WasmtimeError: The guest trapped or ran into a limit; `ExitTrap` if it exited.
            ResultTooLarge: The JSON would be longer than `max_bytes`.
        """
        returned = cv.ReturnedValue() if self._has_value else None
        cv.call(store, func, (arguments.address, arguments.count), returned)
        if returned is None:
            return Outcome(b"{}", failed=False)
        self._budget.reset(max_bytes)
        try:
            failed, value = self._outcome(returned.memory)
        finally:
            returned.delete()
        encoded = msgspec.json.encode(value)
        if len(encoded) > max_bytes:
            raise ResultTooLarge(max_bytes)
        return Outcome(encoded, failed=failed)

    def _outcome(self, memory: cv.Memory) -> tuple[bool, dict[str, Any]]:
        if self._own is None:
            assert self._read is not None  # noqa: S101 - there is a result
            return False, {"result": self._read(memory, 0)}
        ok, value = self._own.split(memory, 0)
        if ok and not self._has_ok:
            return False, {}
        return not ok, {"result": value}
