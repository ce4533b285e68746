"""Every command, in the order of the help."""

from __future__ import annotations

from wassette_supervisor.cli.grammar.command import OUTPUT, Command, Operand, Option, access

GROUPS = {
    "component": "load, approve, unload, release, list or repair",
    "tool": "list, read or invoke components' tools",
    "policy": "show, set, check or explain a component's policy",
    "permission": "grant a component a permission, or take it back",
    "permission grant": "grant a component a permission",
    "permission revoke": "take a permission back",
    "secret": "keep secrets for a component",
}
SHELLS = ("bash", "zsh", "fish")

_ID = Operand("component", "ID", "as `component list` shows it")
_SOURCE = Operand("component", "URI|PATH", "the component, as file:///… or as a path")
_TOOL = Operand("tool", "NAME", "as `tool list` shows it")
_FILE = Operand("file", "FILE", "a policy, as YAML")
_YES = Option("--yes", "", "don't ask")
_STATE = ("size", "reset")

_COMPONENT = [
    Command(
        "component load",
        "load a component",
        "component:load",
        ("component load greeter.wasm", "component load greeter.wasm --policy greeter.yaml"),
        (_SOURCE,),
        (
            Option("--name", "ID", "its id (default: the file's name)"),
            Option("--policy", "FILE", "its policy (default: nothing is granted)"),
            OUTPUT,
        ),
    ),
    Command(
        "component approve",
        "load what waits in the directory of local components",
        "component:approve",
        ("component approve greeter",),
        (_ID,),
        (_YES, OUTPUT),
        more="Shows what would be loaded, and asks.",
    ),
    Command(
        "component unload",
        "unload a component",
        "component:unload",
        ("component unload greeter", "component unload greeter --delete-state"),
        (_ID,),
        (Option("--delete-state", "", "what it keeps between calls too, unasked"), OUTPUT),
        more="Its policy, its secrets and what it keeps between calls are deleted.",
    ),
    Command(
        "component release",
        "let a quarantined component be called again",
        "component:release",
        ("component release greeter",),
        (_ID,),
        (OUTPUT,),
        more="One whose processes crash too often is quarantined until then.",
    ),
    Command(
        "component list",
        "list the components",
        "component:list_all",
        ("component list",),
        options=(OUTPUT,),
    ),
    Command(
        "component state",
        "show or delete what a component keeps between calls",
        "component_state:state",
        ("component state greeter size", "component state greeter reset --yes"),
        (_ID, Operand("action", "size|reset", "show how much, or delete it", choices=_STATE)),
        (_YES, OUTPUT),
        more="It has a folder of its own for that, where its policy grants fs://state.\n"
        "Calls that run keep what they have open; it is deleted all the same.",
    ),
    Command(
        "component repair",
        "make anew what is damaged of a component",
        "repair:repair",
        ("component repair greeter", "component repair --all"),
        (_ID._replace(optional=True),),
        (Option("--all", "", "every component that has damage"), OUTPUT),
        more="Of what is whole: its bytes from the file that it was loaded from, the rest from\n"
        "its bytes. It grants nothing. The exit status is 1 while something is damaged.",
    ),
]
_TOOLS = [
    Command("tool list", "list the tools", "tool:list_all", ("tool list",), options=(OUTPUT,)),
    Command(
        "tool read",
        "show a tool as MCP clients see it",
        "tool:read",
        ("tool read greet -o yaml",),
        (_TOOL,),
        (OUTPUT,),
    ),
    Command(
        "tool invoke",
        "call a tool, and print its value",
        "tool:invoke",
        (
            """tool invoke greet --args '{"name": "Ada"}'""",
            "tool invoke greet --args @arguments.json",
        ),
        (_TOOL,),
        (Option("--args", "JSON", "arguments; @FILE, or - for stdin (default: {})", default="{}"),),
        limits=True,
    ),
]
_POLICY = [
    Command(
        "policy get",
        "show a component's policy, its rules numbered",
        "policy:get",
        ("policy get greeter",),
        (_ID,),
        (OUTPUT,),
    ),
    Command(
        "policy set",
        "give a component a policy; shows what changes",
        "policy:set_policy",
        ("policy set greeter greeter.yaml",),
        (_ID, _FILE),
        (_YES, OUTPUT),
        more="A running server follows it at the next call.",
    ),
    Command(
        "policy unset",
        "take a component's policy away: nothing is granted",
        "policy:unset",
        ("policy unset greeter --yes",),
        (_ID,),
        (_YES, OUTPUT),
    ),
    Command(
        "policy check",
        "check a policy file, or a component's policy",
        "policy:check",
        ("policy check greeter.yaml", "policy check greeter --approve"),
        (Operand("subject", "FILE|ID", "a policy, or a component's id"),),
        (Option("--approve", "", "let the component run again with it as it is"), OUTPUT),
        more="A policy that was edited by hand holds its component back until it is approved.",
    ),
    Command(
        "policy explain",
        "say whether a request is allowed, and by which rule",
        "policy:explain",
        (
            "policy explain greeter --path /srv/notes/a.txt --access read",
            "policy explain greeter --url https://api.example.com/v1 --method POST",
            "policy explain greeter --env TZ",
        ),
        (_ID,),
        (
            Option("--path", "PATH", "may it have this path, or fs://state? with --access"),
            Option("--url", "URL", "may it send a request there?"),
            Option("--env", "KEY", "may it see this variable?"),
            Option("--access", "HOW", "read or write", choices=("read", "write")),
            Option("--method", "METHOD", "of the request (default: GET)"),
            Option("--tool", "NAME", "for a call of this tool"),
            OUTPUT,
        ),
        one_of=("--path", "--url", "--env"),
        one_is_needed=True,
        needs=(("--path", "--access"), ("--access", "--path"), ("--method", "--url")),
        more="The exit status is 0 for either answer. The setting --env goes before `explain`.",
    ),
]
_URI = "fs://PATH of the workspace, fs:///PATH or fs://state"
_KEY = Operand("key", "KEY", "the variable's name")
_HOST = Operand("host", "HOST", "as example.com or https://*.example.com:8443")
_GRANT = [
    Command(
        "permission grant storage",
        "files and directories",
        "permission:grant_storage",
        ("permission grant storage greeter fs://notes/** --access read,write",),
        (_ID, Operand("uri", "URI", _URI)),
        (
            Option("--access", "HOW", "read, write or read,write", parse=access, required=True),
            OUTPUT,
        ),
    ),
    Command(
        "permission grant network",
        "a host",
        "permission:grant_network",
        ("permission grant network greeter api.example.com",),
        (_ID, _HOST),
        (OUTPUT,),
    ),
    Command(
        "permission grant environment-variable",
        "a variable, or a secret in its place",
        "permission:grant_environment_variable",
        (
            "permission grant environment-variable greeter TZ",
            "permission grant environment-variable greeter TOKEN --secret TOKEN",
        ),
        (_ID, _KEY),
        (
            Option("--value", "VALUE", "its value (default: the server's)"),
            Option("--secret", "NAME", "its value is this secret"),
            OUTPUT,
        ),
        one_of=("--value", "--secret"),
        more="A value on the command line is seen by every process: keep a secret with\n"
        "`secret set` and name it here.",
    ),
    Command(
        "permission grant memory",
        "so much memory, in place of the default",
        "permission:grant_memory",
        ("permission grant memory greeter 512Mi",),
        (_ID, Operand("limit", "LIMIT", "as 512Mi or 1Gi; a bare number is MiB")),
        (OUTPUT,),
        more="Other limits are set with `policy set`.",
    ),
]


def _revoke(kind: str, what: str, function: str, shown: str, example: str) -> Command:
    rule = Operand("rule", f"{shown}|NUMBER", "as it was granted, or as `policy get` has it")
    return Command(
        f"permission revoke {kind}",
        what,
        f"permission:revoke_{function}",
        (f"permission revoke {kind} greeter {example}",),
        (_ID, rule),
        (OUTPUT,),
        more="Calls of the component that are running end.",
    )


_PERMISSION = [
    *_GRANT,
    _revoke("storage", "files and directories", "storage", "URI", "fs://notes/**"),
    _revoke("network", "a host", "network", "HOST", "api.example.com"),
    _revoke("environment-variable", "a variable", "environment_variable", "KEY", "TZ"),
    Command(
        "permission revoke memory",
        "the memory beyond, or below, the default",
        "permission:revoke_memory",
        ("permission revoke memory greeter",),
        (_ID,),
        (OUTPUT,),
    ),
    Command(
        "permission reset",
        "take every permission of a component back",
        "permission:reset",
        ("permission reset greeter",),
        (_ID,),
        (OUTPUT,),
    ),
]
_SECRET = [
    Command(
        "secret set",
        "keep a secret, read from a prompt or standard input",
        "secret:set_secret",
        (
            "secret set greeter TOKEN",
            "secret set greeter TOKEN --from-env GREETER_TOKEN",
            "secret set greeter TOKEN --from-file token.txt",
        ),
        (_ID, Operand("names", "NAME", "of the secret; NAME=VALUE is taken, see below", many=True)),
        (
            Option("--from-env", "KEY", "the value is that of this variable"),
            Option("--from-file", "FILE", "the value is what this file holds"),
            OUTPUT,
        ),
        one_of=("--from-env", "--from-file"),
        more="A value written as NAME=VALUE is seen by every process of the machine, and stays\n"
        "in the history of the shell.",
    ),
    Command(
        "secret list",
        "list the names of a component's secrets",
        "secret:list_all",
        ("secret list greeter",),
        (_ID,),
        (OUTPUT,),
    ),
    Command(
        "secret delete",
        "forget secrets",
        "secret:delete",
        ("secret delete greeter TOKEN",),
        (_ID, Operand("names", "NAME", "as `secret list` shows it", many=True)),
        (OUTPUT,),
    ),
]
_AUDIT = [
    Command(
        "audit",
        "show what was granted, refused and done",
        "audit:show",
        (
            "audit --component greeter --since 1h",
            "audit --event request",
            "audit --follow -o json",
        ),
        options=(
            Option("--component", "ID", "of this component alone"),
            Option("--event", "NAME", "of this kind alone, as request or refusal"),
            Option("--call", "ID", "of this call alone"),
            Option("--since", "WHEN", "from then on, as 30m, 7d or 2026-01-31T12:00"),
            Option("--follow", "", "go on with what comes"),
            OUTPUT,
        ),
    ),
    Command(
        "audit verify",
        "check that no record was damaged or lost",
        "audit:verify",
        ("audit verify",),
        options=(OUTPUT,),
    ),
]
COMMANDS = [
    Command(
        "run",
        "serve MCP on standard input and output",
        "run:run",
        ("run --workspace ~/notes --max-workers 4",),
        more="It is what runs without a command, and what MCP clients start.",
        limits=True,
    ),
    *_COMPONENT,
    Command(
        "inspect",
        "describe a component",
        "inspect:inspect",
        ("inspect greeter", "inspect ./greeter.wasm -o table"),
        (Operand("component", "ID|FILE", "a loaded component's id, a path or a URI"),),
        (OUTPUT,),
        more="A file is compiled, not kept; without Linux only with --sandbox available.",
    ),
    *_TOOLS,
    *_POLICY,
    *_PERMISSION,
    *_SECRET,
    *_AUDIT,
    Command(
        "doctor",
        "say what this system has of what the sandbox needs",
        "doctor:doctor",
        ("doctor",),
        options=(OUTPUT,),
    ),
    Command(
        "settings",
        "show each setting, and where it comes from",
        "settings:show",
        ("settings -o table",),
        options=(OUTPUT,),
        more="Values of variables for guests are left out.",
    ),
    Command(
        "autocomplete",
        "print completions for a shell",
        "autocomplete:show",
        ("autocomplete bash > ~/.local/share/bash-completion/completions/wassette-supervisor",),
        (Operand("shell", "SHELL", "bash, zsh or fish", choices=SHELLS),),
    ),
]
