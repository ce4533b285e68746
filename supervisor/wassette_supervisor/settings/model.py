"""All settings of one process, settled: what the rest of the supervisor asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from wassette_protocol.capabilities import MIB, Limits


class Environment(Mapping[str, str]):
    """Variables for guests; no text of it, in a log or an error, has a value in it."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = dict(variables)

    def __getitem__(self, key: str) -> str:
        return self._variables[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)

    def __hash__(self) -> int:
        return hash(frozenset(self._variables.items()))

    def __repr__(self) -> str:
        return f"<values of {', '.join(self._variables) or 'nothing'}>"


class MaxLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far a policy may raise the limits of a call; units as in `Limits`."""

    fuel: int = 1_000_000_000_000  # some 8 minutes of a busy loop
    memory: int = 1 << 30
    wall_time_ms: int = 300_000
    output: int = 16 * MIB
    requests: int = 10_000
    request_bytes: int = 4 << 30
    response_bytes: int = 4 << 30


class Settings(msgspec.Struct, frozen=True):
    component_dir: Path
    state_dir: Path  # what components keep between calls
    local_components: Path | None  # the directory; None: there is none
    local_mode: Literal["off", "startup", "watch"]
    workspace: Path | None  # None: the rule for the current directory decides
    environment: Environment  # what `--env`, the env-file and `[env]` say together
    ceiling: Path | None  # a policy file, not read yet
    max_workers: int  # calls running at once
    max_per_component: int | None  # of them of one component; None: the schedule's own rule
    queue: int  # calls waiting; beyond it a call is refused as busy
    isolation: Literal["fork", "exec"]
    sandbox: Literal["required", "available"]
    run_as: int | None  # uid
    plain_writes: bool  # give up what is never written to under a grant of more
    allow_any_host: bool  # a policy may allow all public hosts
    ca_file: Path | None  # certificates of authorities beside the system's, in PEM
    name_server: str | None  # ADDRESS:PORT; None: those of the system
    audit_files: bool  # judge every path, and record every open
    approve: Literal["ask", "deny", "allow"]
    approval_timeout_ms: int
    disable_builtin_tools: bool
    audit_arguments: bool
    limits: Limits
    max_limits: MaxLimits
    max_state: int  # bytes that a component may keep between calls
    log_level: Literal["debug", "info", "warning", "error"]
    log_format: Literal["text", "json"]
