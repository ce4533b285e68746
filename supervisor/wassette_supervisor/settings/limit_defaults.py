"""The defaults of limits, by the names of their settings: `limit.wall_time`, `max-limit.memory`."""

from __future__ import annotations

from typing import Any

import msgspec

from wassette_protocol.capabilities import Limits
from wassette_supervisor.limits import LIMITS
from wassette_supervisor.settings.model import MaxLimits


def limit_values(prefix: str, values: msgspec.Struct) -> dict[str, Any]:
    """Name the fields of a struct of limits as settings: `limit.wall_time` and so on."""
    fields = msgspec.structs.asdict(values)
    return {
        f"{prefix}.{name}": fields[limit.field]
        for name, limit in LIMITS.items()
        if limit.field in fields
    }


LIMIT_DEFAULTS = limit_values("limit", Limits())
MAX_LIMIT_DEFAULTS = limit_values("max-limit", MaxLimits())
