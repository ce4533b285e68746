"""Settings: a flag, else the environment, else the file, else the default; unknown ones refused."""

from wassette_supervisor.settings.defaults import MAX_WORKERS, NAME
from wassette_supervisor.settings.model import Environment, MaxLimits, Settings
from wassette_supervisor.settings.settle import Settled, Shown, load, settle
from wassette_supervisor.settings.table import PREFIX

__all__ = [
    "MAX_WORKERS",
    "NAME",
    "PREFIX",
    "Environment",
    "MaxLimits",
    "Settings",
    "Settled",
    "Shown",
    "load",
    "settle",
]
