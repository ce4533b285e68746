"""What is written differently elsewhere, or isn't there yet, and what to write here."""

from __future__ import annotations

_LIMIT = (
    "write `permission grant memory ID LIMIT`, or `policy set ID FILE` for other limits; --limit "
    "memory=VALUE sets what a call has without them"
)
_STDIO = "`run` serves MCP on standard input and output"
_SERVE = f"of `serve`, which is not there yet; {_STDIO}"

WORDS = {
    "serve": f"`serve` is not there yet; {_STDIO}",
    "acp": f"there is no `acp`; {_STDIO}",
    "registry": "`registry` is not there yet; `component load` takes a path or a URI",
    "help": "see `wassette-supervisor --help`",
    "version": "see `wassette-supervisor --version`",
    "load": "write `component load`",
    "unload": "write `component unload`",
    "list": "write `component list` or `tool list`",
    "invoke": "write `tool invoke`",
    "grant": "write `permission grant`",
    "revoke": "write `permission revoke`",
    "reset": "write `permission reset`",
    "component sync": "a server with --local-components DIR follows that directory",
    "component build": "components are not built here; load the file with `component load`",
    "component source": "`inspect ID` says what a component was loaded from",
    "permission grant resource": _LIMIT,
    "permission revoke resource": "write `permission revoke memory`",
    "permission grant env": "write `permission grant environment-variable`",
    "permission revoke env": "write `permission revoke environment-variable`",
    "secret get": "a secret's value is never shown; `secret list` has the names",
    "secret show": "a secret's value is never shown; `secret list` has the names",
    "tool call": "write `tool invoke`",
}
OPTIONS = {
    "--plugin-dir": "write --component-dir",
    "--memory": _LIMIT,
    "--stdio": f"leave it out: {_STDIO}",
    "--sse": _SERVE,
    "--streamable-http": _SERVE,
    "--bind-address": _SERVE,
    "--allowed-host": _SERVE,
    "--legacy-sessions": _SERVE,
    "--json-response": _SERVE,
    "--manifest": _SERVE,
    "--continue-on-provisioning-failure": _SERVE,
    "--local-component-dir": "write --local-components DIR",
    "--show-values": "a secret's value is never shown; `secret list` has the names",
}
