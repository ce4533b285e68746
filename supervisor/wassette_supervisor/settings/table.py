"""Every setting, once: flags, variables, keys of the file, help and the reference page are this."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from wassette_supervisor.limits import LIMITS
from wassette_supervisor.settings import defaults
from wassette_supervisor.settings.defaults import MAX_WORKERS
from wassette_supervisor.settings.kinds import (
    DIRECTORY,
    FILE,
    LOCAL_DIRECTORY,
    LOCAL_MODES,
    NAME_SERVER,
    PATIENCE,
    SIZE,
    SWITCH,
    USER,
    Kind,
    Named,
    number,
    one_of,
)
from wassette_supervisor.settings.model import MaxLimits

if TYPE_CHECKING:
    from wassette_supervisor.settings.defaults import Default

PREFIX = "WASSETTE_SUPERVISOR_"

_LIMIT_KINDS = {
    name: Kind("VALUE", limit.parse, int if limit.text is str else limit.text)
    for name, limit in LIMITS.items()
}
_MAX_LIMITS = [n for n, limit in LIMITS.items() if limit.field in MaxLimits.__struct_fields__]


class Setting(NamedTuple):
    """One setting.

    `help` and `default_text` together are one line of `--help`; `more` is for the page.
    """

    name: str  # the flag is this with two dashes
    kind: Kind | Named
    default: Default
    default_text: str
    help: str
    more: str
    example: str  # as a flag takes it
    run_only: bool = False  # says nothing to a command that ends by itself
    in_variable: bool = True

    @property
    def variable(self) -> str:
        return PREFIX + self.name.replace("-", "_").upper()

    @property
    def option(self) -> str:
        return f"--{self.name}"


_ALL = [
    Setting(
        "component-dir",
        DIRECTORY,
        defaults.store_folder,
        "in $XDG_DATA_HOME",
        "the store",
        "Where components, their policies and their secrets are kept: "
        "`$XDG_DATA_HOME/wassette-supervisor`, or `~/.local/share/wassette-supervisor` where "
        "that variable isn't set. It is made when something is loaded.",
        "/srv/components",
    ),
    Setting(
        "state-dir",
        DIRECTORY,
        defaults.state_folder,
        "in $XDG_STATE_HOME",
        "what components keep",
        "Where each component has a folder for what `fs://state` lets it keep between calls: "
        "`$XDG_STATE_HOME/wassette-supervisor/state`, or "
        "`~/.local/state/wassette-supervisor/state` where that variable isn't set; for another "
        "`component-dir` than the default the folder `state` in that. It belongs to one store: "
        "in two, an id may be that of different components. It is made at the first call that "
        "needs it.",
        "/srv/state",
    ),
    Setting(
        "local-components",
        LOCAL_DIRECTORY,
        defaults.always(None),
        "none",
        "load the components in DIR",
        "A directory whose `*.wasm` files are components: one that appears there is loaded when a "
        "person has said so, its new bytes likewise, and one that vanishes is unloaded; "
        "docs/local-components.md has all of it. It may not overlap the store, and nobody but its "
        "owner may write to it. No grant reaches it.",
        "/srv/dropped",
    ),
    Setting(
        "workspace",
        DIRECTORY,
        defaults.always(None),
        "the current one",
        "what `fs://PATH` is below",
        "The directory that a policy's `fs://PATH`, without a leading slash, is below. Without "
        "it that is the current directory, unless that is `/`, a home directory or holds the "
        "store; where there is none, such a rule is refused.",
        "/srv/work",
    ),
    Setting(
        "env",
        Named("KEY=VALUE", {}),
        defaults.always({}),
        "none",
        "a variable for guests; repeatable",
        "A variable that a policy may pass to a component; without a policy that names its key "
        "nobody sees it. It comes before a variable of the same key that the server itself has. "
        "A flag beats `env-file`, which beats the table `[env]`. A value on the command line can "
        "be seen by every process of the machine: for a secret take `secret set`.",
        "TZ=UTC",
        in_variable=False,
    ),
    Setting(
        "env-file",
        FILE,
        defaults.always(None),
        "none",
        "a file of variables for guests",
        "A file of at most 1 MiB, one variable a line: `KEY=VALUE`, `KEY='any text'` or "
        '`KEY="text"`, `export` before it if you like. Empty lines and lines that begin with '
        "`#` are skipped. Nothing is expanded and there are no escapes, so a value with `$`, "
        "`\\`, a backtick, a quote, a space or `#` at its start stands in single quotes; "
        "anything else is an error with its line. A key may be there once.",
        "/srv/tools/.env",
    ),
    Setting(
        "ceiling",
        FILE,
        defaults.always(None),
        "none",
        "what no policy may exceed",
        "A policy file. What a component's own policy allows is allowed only where this one "
        "allows it too.",
        "/etc/wassette-supervisor/ceiling.yaml",
    ),
    Setting(
        "limit",
        Named("NAME=VALUE", _LIMIT_KINDS),
        defaults.always({}),
        "below",
        "a limit of each call; repeatable",
        "What a call may use where no policy says otherwise. Each of these names:",
        "memory=64Mi",
    ),
    Setting(
        "max-limit",
        Named("NAME=VALUE", {name: _LIMIT_KINDS[name] for name in _MAX_LIMITS}),
        defaults.always({}),
        "below",
        "how far a policy may raise it",
        "The most that a policy may set. A `limit` above a `max-limit` that is not given raises "
        "that; a `max-limit` below a `limit` that is not given lowers that; where both are given "
        "and contradict each other it is an error. These names:",
        "memory=2Gi",
    ),
    Setting(
        "max-state",
        SIZE,
        defaults.always(64 << 20),
        "64Mi",
        "what a component may keep",
        "How much a component may keep between calls in its own folder, `fs://state`. A file "
        "counts for its length or for what it occupies, if that is more, and for 4 KiB at least. "
        "It is counted before each call that may write there: with more than this the call is "
        "refused. No file that such a call writes, there or elsewhere, grows larger than this.",
        "256Mi",
    ),
    Setting(
        "isolation",
        one_of("MODE", "fork", "exec"),
        defaults.always("fork"),
        "fork",
        "of a call: fork, or exec, slower",
        "Where the process of a call comes from: `fork` of a process that has the component "
        "compiled, or `exec` of a fresh interpreter with an address layout of its own, which "
        "takes some 80 ms more.",
        "exec",
    ),
    Setting(
        "sandbox",
        one_of("HOW", "required", "available"),
        defaults.always("required"),
        "required",
        "required, or what is available",
        "What the kernel must have for a call to run. `required` is no_new_privs, seccomp, "
        "Landlock and resource limits, which any user can use: where one is missing no call "
        "runs, and the answer says which. With `available` calls run with what there is; what "
        "is missing is logged when the server starts, and shown by `doctor`.",
        "available",
    ),
    Setting(
        "run-as",
        USER,
        defaults.always(None),
        "the owner",
        "as root: the user of grants",
        "Where the server runs as root: the user, by name or number, that a component with file "
        "grants runs as. Without it that is the owner of the granted tree; a tree of several "
        "owners needs it. It can't be root.",
        "1000",
    ),
    Setting(
        "plain-writes",
        SWITCH,
        defaults.always(False),  # noqa: FBT003 - the value itself
        "all judged",
        "write grants by the kernel",
        "Give whole folders with `write` to the guest as the kernel has them, without judging each "
        "path: faster, but what is never written to under a grant of more, as `.git/hooks` or "
        "`.bashrc`, can be written to as well. Grants that need it, as those with a `deny`, are "
        "judged all the same.",
        "true",
    ),
    Setting(
        "allow-any-host",
        SWITCH,
        defaults.always(False),  # noqa: FBT003 - the value itself
        "named ones",
        'take policies with `host: "*"`',
        'Take policies with `host: "*"`, which allows every public host. Without it such a policy '
        "is refused when it is set, and no call of a component that has one runs. A `ceiling` may "
        "say it in any case. Addresses that are not public, as `127.0.0.1` or those of the local "
        "network, are never meant by it.",
        "true",
    ),
    Setting(
        "ca-file",
        FILE,
        defaults.always(None),
        "the system's",
        "more CAs for requests",
        "A file of certificates in PEM, of authorities that are trusted for the https requests of "
        "components beside those that the system trusts. Certificates are always verified.",
        "/etc/ssl/private-ca.pem",
    ),
    Setting(
        "name-server",
        NAME_SERVER,
        defaults.always(None),
        "the system's",
        "who is asked for hosts",
        "The name server that is asked where the hosts of components' requests are: an address, or "
        "`ADDRESS:PORT`; one of IPv6 in brackets, as `[::1]:53`. Without it those of "
        "`/etc/resolv.conf` are asked, three at most. What `/etc/hosts` names nobody is asked for.",
        "127.0.0.1:5353",
    ),
    Setting(
        "audit-files",
        SWITCH,
        defaults.always(False),  # noqa: FBT003 - the value itself
        "left out",
        "opened files in the audit",
        "Write every file and directory that a guest opens, or tries to, to the audit log, before "
        "the guest can read from it; one whose record can't be written is not opened, and its call "
        "ends. Every path is judged then, also where the kernel alone could keep the rules. An "
        "open takes some tenths of a millisecond more.",
        "true",
    ),
    Setting(
        "audit-arguments",
        SWITCH,
        defaults.always(False),  # noqa: FBT003 - the value itself
        "left out",
        "calls' arguments in the audit",
        "Write the arguments of calls to the audit log: shortened, and without those whose names "
        "are those of secrets, which is no guarantee that nothing private is left.",
        "true",
    ),
    Setting(
        "max-workers",
        number(1, MAX_WORKERS),
        defaults.processors,
        "the processors",
        "calls running at once",
        f"At most {MAX_WORKERS}. The default is the processors that this process may use.",
        "4",
        run_only=True,
    ),
    Setting(
        "max-per-component",
        number(1, MAX_WORKERS),
        defaults.always(None),
        "all but one",
        "of them of one component",
        "Calls of one component that run at once. Without it a component may have all places of "
        "`max-workers` until a second one is called, and from then on all but one: however long "
        "its calls take, those of others need not wait for them.",
        "2",
        run_only=True,
    ),
    Setting(
        "queue",
        number(0, 100_000),
        defaults.four_each,
        "4 x workers",
        "calls waiting, beyond: busy",
        "Calls that wait for one of `max-workers` to end. A call beyond them is answered at once: "
        "the server is busy.",
        "8",
        run_only=True,
    ),
    Setting(
        "approve",
        one_of("HOW", "ask", "deny", "allow"),
        defaults.always("ask"),
        "ask",
        "models' requests: ask, deny or allow",
        "What happens when a model asks for something that widens what it can do: a person is "
        "asked, it is refused, or it is done. With `allow` nobody decides but the model.",
        "deny",
        run_only=True,
    ),
    Setting(
        "approval-timeout",
        PATIENCE,
        defaults.always(120_000),
        "2m",
        "how long a person is asked",
        "From 1s to 1h. A question that has no answer by then is a refusal.",
        "30s",
        run_only=True,
    ),
    Setting(
        "disable-builtin-tools",
        SWITCH,
        defaults.always(False),  # noqa: FBT003 - the value itself
        "both",
        "offer components' tools alone",
        "Leave out the tools of the server itself, as `load-component`: what there is to call is "
        "then the operator's choice.",
        "true",
        run_only=True,
    ),
    Setting(
        "local-mode",
        one_of("MODE", *LOCAL_MODES),
        defaults.always("watch"),
        "watch",
        "follow DIR: watch, startup or off",
        "When the directory of `local-components` is looked at: all the time, at the start of the "
        "server alone, or never. With `off` what was loaded from it stays as it is.",
        "startup",
        run_only=True,
    ),
    Setting(
        "log-level",
        one_of("LEVEL", "debug", "info", "warning", "error"),
        defaults.always("info"),
        "info",
        "debug, info, warning or error",
        "The least of what is logged, to standard error. Commands that answer and end log "
        "warnings where this is `info`.",
        "debug",
    ),
    Setting(
        "log-format",
        one_of("FORMAT", "text", "json"),
        defaults.always("text"),
        "text",
        "text or json, on standard error",
        "How log lines are written: for people, or one JSON object each.",
        "json",
    ),
]
SETTINGS: dict[str, Setting] = {setting.name: setting for setting in _ALL}


def kind_of(key: str) -> Kind | None:
    """Find what `NAME`, or `NAME.MEMBER` of a setting with members, may be."""
    name, dot, member = key.partition(".")
    setting = SETTINGS.get(name)
    if setting is None:
        return None
    if isinstance(setting.kind, Named):
        return setting.kind.kind_of(member) if dot else None
    return None if dot else setting.kind
