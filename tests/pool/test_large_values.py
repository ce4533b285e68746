"""Long values through a worker of its own, with limits raised as far as they need."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from wasmtime import wat2wasm

from support.echo_component import echo_text
from support.pools import compile_with, limited, settings_for
from wassette_protocol.codec import MAX_RESULT_BYTES
from wassette_supervisor.errors import LimitExceededError, TrappedError
from wassette_supervisor.pool.pool import open_pool
from wassette_worker import wit_types as wit

if TYPE_CHECKING:
    from wassette_supervisor.pool.outcome import CallOutcome
    from wassette_worker.wit_types import WitType

pytestmark = pytest.mark.thorough

RAISED = {
    "memory": 4 << 30,
    "result": MAX_RESULT_BYTES,
    "result_nodes": 10_000_000,
}
RECORD = wit.Record((("id", wit.Int(32, signed=False)), ("label", wit.String())))
RECORDS = [{"id": n, "label": str(n)} for n in range(400_000)]
MILLION = 1_000_000


async def sent(of: WitType, value: Any, **limits: int) -> CallOutcome:
    async with open_pool(settings_for()) as pool:
        component = await compile_with(pool, bytes(wat2wasm(echo_text(of))))
        arguments = msgspec.json.encode({"value": value}).decode()
        return await component.call(pool, "echo", arguments, limited(**limits))


@pytest.mark.parametrize(
    ("of", "value"),
    [
        pytest.param(wit.List(RECORD), RECORDS, id="400,000 records"),
        pytest.param(wit.List(wit.String()), [str(n) for n in range(MILLION)], id="strings"),
        pytest.param(wit.List(wit.Float(64)), [n / 2 for n in range(MILLION)], id="numbers"),
    ],
)
async def test_a_list_of_many_comes_back_where_the_limits_allow_it(of: WitType, value: Any) -> None:
    outcome = await sent(of, value, **RAISED)
    same = outcome.value == {"result": value}  # pytest would take minutes to tell the difference
    assert same


async def test_a_list_of_many_is_beyond_the_limit_of_a_results_values() -> None:
    with pytest.raises(LimitExceededError) as caught:
        await sent(wit.List(RECORD), RECORDS, **RAISED | {"result_nodes": 1_000_000})
    assert caught.value.limit == "result_nodes"


async def test_more_than_the_engine_copies_ends_the_call_with_an_error_that_says_so() -> None:
    data = base64.b64encode(bytes(3 * MILLION)).decode()
    with pytest.raises(TrappedError, match=r"than the engine copies: 128 MiB, .* 48 bytes"):
        await sent(wit.List(wit.U8), data, **RAISED)
