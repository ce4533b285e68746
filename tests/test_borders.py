"""What is loaded where, in the running programs: import-linter checks the sources."""

from __future__ import annotations

import subprocess
import sys

import pytest


def loaded_by(statement: str) -> set[str]:
    program = f"{statement}\nimport sys\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-I", "-c", program],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "module", ["app", "cli", "front.server", "components.registry", "pool.pool"]
)
def test_the_supervisor_never_loads_the_engine(module: str) -> None:
    assert not {"wasmtime", "wassette_worker"} & loaded_by(f"import wassette_supervisor.{module}")


def test_the_broker_loads_no_engine_and_nothing_of_who_decides() -> None:
    loaded = loaded_by("import wassette_supervisor.broker.__main__")
    assert not {"wasmtime", "mcp", "mcp_types", "structlog", "yaml", "pydantic"} & loaded


def test_the_zygote_loads_no_server_code() -> None:
    loaded = loaded_by("import wassette_worker.zygote, wassette_worker.fresh")
    assert not {"mcp", "mcp_types", "anyio", "asyncio", "structlog", "yaml", "pydantic"} & loaded
