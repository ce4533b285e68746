"""A guest that is wasi:filesystem itself: each of its functions again, under its plain name.

It holds no logic: lower, call, drop what was lent, return. So a test says what a guest says, with
no C library between.
"""

from __future__ import annotations

from typing import NamedTuple

_CODES = (
    "access would-block already bad-descriptor busy deadlock quota exist file-too-large "
    "illegal-byte-sequence in-progress interrupted invalid io is-directory loop too-many-links "
    "message-size name-too-long no-device no-entry no-lock insufficient-memory insufficient-space "
    "not-directory not-empty not-recoverable unsupported no-tty no-such-device overflow "
    "not-permitted pipe read-only invalid-seek text-file-busy cross-device"
)
_KINDS = "unknown block-device character-device directory fifo symbolic-link regular-file socket"
_FLAGS = "read write file-integrity-sync data-integrity-sync requested-write-sync mutate-directory"


def _names(kind: str, names: str) -> str:
    quoted = " ".join(f'"{name}"' for name in names.split())
    return f"({kind} {quoted})"


def _fields(**fields: str) -> str:
    entries = (f'(field "{name.replace("_", "-")}" {of})' for name, of in fields.items())
    return f"(record {' '.join(entries)})"


# Each uses only those before it.
_NAMED = {
    "error-code": _names("enum", _CODES),
    "descriptor-type": _names("enum", _KINDS),
    "descriptor-flags": _names("flags", _FLAGS),
    "path-flags": _names("flags", "symlink-follow"),
    "open-flags": _names("flags", "create directory exclusive truncate"),
    "advice": _names("enum", "normal sequential random will-need dont-need no-reuse"),
    "datetime": _fields(seconds="u64", nanoseconds="u32"),
    "new-timestamp": '(variant (case "no-change") (case "now") (case "timestamp" $datetime))',
    "descriptor-stat": _fields(
        type="$descriptor-type",
        link_count="u64",
        size="u64",
        data_access_timestamp="(option $datetime)",
        data_modification_timestamp="(option $datetime)",
        status_change_timestamp="(option $datetime)",
    ),
    "directory-entry": _fields(type="$descriptor-type", name="string"),
    "metadata-hash-value": _fields(lower="u64", upper="u64"),
}

# What stands for a type: the type, and the words that it is of.
_PARAMS = {
    "u64": ("u64", "i64"),
    "string": ("string", "i32 i32"),
    "bytes": ("(list u8)", "i32 i32"),
    "how": ("$path-flags", "i32"),
    "open": ("$open-flags", "i32"),
    "flags": ("$descriptor-flags", "i32"),
    "advice": ("$advice", "i32"),
    "time": ("$new-timestamp", "i32 i64 i32"),
    "descriptor": ("(borrow $descriptor)", "i32"),
    "entries": ("(borrow $entries)", "i32"),
    "error": ("(borrow $error)", "i32"),
    "out": ("(borrow $out)", "i32"),
}
_RESOURCES = {
    "descriptor": "descriptor",
    "entries": "directory-entry-stream",
    "out": "output-stream",
}
_LENT = {"descriptor", "entries", "error", "out"}


class _Function(NamedTuple):
    name: str
    params: tuple[tuple[str, str], ...]
    result: str

    @property
    def wit(self) -> str:
        if not self.params or self.params[0][0] != "self":
            return self.name
        return f"[method]{_RESOURCES[self.params[0][1]]}.{self.name}"

    @property
    def signature(self) -> str:
        params = "".join(f'(param "{name}" {_PARAMS[of][0]}) ' for name, of in self.params)
        return f"{params}(result {self.result})"

    @property
    def flat(self) -> list[str]:
        return [word for _, of in self.params for word in _PARAMS[of][1].split()]


def _of(what: str) -> str:
    return f"(result {what} (error $error-code))"


_DONE = "(result (error $error-code))"
_TIMES = "data-access-timestamp:time data-modification-timestamp:time"
# Methods of a descriptor: what they take beside it, and what they give.
_METHODS = {
    "read-via-stream": ("offset:u64", _of("(own $in)")),
    "write-via-stream": ("offset:u64", _of("(own $out)")),
    "append-via-stream": ("", _of("(own $out)")),
    "advise": ("offset:u64 length:u64 advice:advice", _DONE),
    "sync-data": ("", _DONE),
    "get-flags": ("", _of("$descriptor-flags")),
    "get-type": ("", _of("$descriptor-type")),
    "set-size": ("size:u64", _DONE),
    "set-times": (_TIMES, _DONE),
    "read": ("length:u64 offset:u64", _of("(tuple (list u8) bool)")),
    "write": ("buffer:bytes offset:u64", _of("u64")),
    "read-directory": ("", _of("(own $entries)")),
    "sync": ("", _DONE),
    "create-directory-at": ("path:string", _DONE),
    "stat": ("", _of("$descriptor-stat")),
    "stat-at": ("path-flags:how path:string", _of("$descriptor-stat")),
    "set-times-at": (f"path-flags:how path:string {_TIMES}", _DONE),
    "link-at": (
        "old-path-flags:how old-path:string new-descriptor:descriptor new-path:string",
        _DONE,
    ),
    "open-at": (
        "path-flags:how path:string open-flags:open flags:flags",
        _of("(own $descriptor)"),
    ),
    "readlink-at": ("path:string", _of("string")),
    "remove-directory-at": ("path:string", _DONE),
    "rename-at": ("old-path:string new-descriptor:descriptor new-path:string", _DONE),
    "symlink-at": ("old-path:string new-path:string", _DONE),
    "unlink-file-at": ("path:string", _DONE),
    "is-same-object": ("other:descriptor", "bool"),
    "metadata-hash": ("", _of("$metadata-hash-value")),
    "metadata-hash-at": ("path-flags:how path:string", _of("$metadata-hash-value")),
}
_GIVEN = "(list (tuple (own $descriptor) string))"
_GIVEN_SAME = _GIVEN.replace("$descriptor", "$same")


def _function(name: str, params: str, result: str) -> _Function:
    pairs = tuple((each.split(":")[0], each.split(":")[1]) for each in params.split())
    return _Function(name, pairs, result)


# Of wasi:io/streams: for an error that a function of files is asked about.
_WRITE = _function("blocking-write-and-flush", "self:out contents:bytes", "(result (error $why))")
FUNCTIONS = [
    *(
        _function(name, f"self:descriptor {params}", result)
        for name, (params, result) in _METHODS.items()
    ),
    _function("read-directory-entry", "self:entries", _of("(option $directory-entry)")),
    _function("filesystem-error-code", "err:error", "(option $error-code)"),
    _function("get-directories", "", _GIVEN),
    _WRITE,
]
_SOURCES = {"get-directories": "$preopens", _WRITE.name: "$io"}
_AT = 2048  # what is returned: no call is made within another


def text(wasi: str) -> str:
    """The component, which imports this version of WASI."""
    types = [each for each in FUNCTIONS if each.name not in _SOURCES]
    lines = [
        f'(import "wasi:io/error@{wasi}" (instance $ioe (export "error" (type (sub resource)))))',
        '(alias export $ioe "error" (type $error))',
        f'(import "wasi:io/streams@{wasi}" (instance $io',
        '  (export "input-stream" (type (sub resource)))',
        '  (export "output-stream" (type $out (sub resource)))',
        "  (alias outer 1 $error (type $error))",
        "  (type $why-of (variant",
        '    (case "last-operation-failed" (own $error)) (case "closed")))',
        '  (export "stream-error" (type $why (eq $why-of)))',
        f'  (export "{_WRITE.wit}" (func {_WRITE.signature}))))',
        '(alias export $io "input-stream" (type $in))',
        '(alias export $io "output-stream" (type $out))',
        '(alias export $io "stream-error" (type $why))',
        f'(import "wasi:filesystem/types@{wasi}" (instance $files',
        '  (export "descriptor" (type $descriptor (sub resource)))',
        '  (export "directory-entry-stream" (type $entries (sub resource)))',
        *(
            f'  (type ${name}-of {of}) (export "{name}" (type ${name} (eq ${name}-of)))'
            for name, of in _NAMED.items()
        ),
        *(f'  (export "{each.wit}" (func {each.signature}))' for each in types),
        "))",
        '(alias export $files "descriptor" (type $descriptor))',
        '(alias export $files "directory-entry-stream" (type $entries))',
        *(f'(alias export $files "{name}" (type ${name}))' for name in _NAMED),
        f'(import "wasi:filesystem/preopens@{wasi}" (instance $preopens',
        '  (export "descriptor" (type $same (eq $descriptor)))',
        f'  (export "get-directories" (func (result {_GIVEN_SAME})))))',
        _MEMORY,
        *(f"(core func $drop-{each} (canon resource.drop ${each}))" for each in sorted(_LENT)),
        *map(_lowered, FUNCTIONS),
        "(core module $pass",
        *(f'  (import "n" "drop-{each}" (func $drop-{each} (param i32)))' for each in _LENT),
        *map(_imported, FUNCTIONS),
        *map(_passed, FUNCTIONS),
        ")",
        '(core instance $passed (instantiate $pass (with "n" (instance',
        *(f'  (export "drop-{each}" (func $drop-{each}))' for each in _LENT),
        *(f'  (export "{each.name}" (func ${each.name}-lowered))' for each in FUNCTIONS),
        "))))",
        *map(_lifted, FUNCTIONS),
    ]
    return "\n".join(["(component", *lines, ")"])


# As the memory of the shim of files.
_MEMORY = """
(core module $room
  (memory (export "memory") 1)
  (global $next (mut i32) (i32.const 4096))
  (func (export "reset") (param i32) (global.set $next (i32.const 4096)))
  (func (export "realloc") (param i32 i32 i32) (param $size i32) (result i32)
    (local $at i32) (local $missing i32)
    (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
    (global.set $next (i32.add (local.get $at) (local.get $size)))
    (local.set $missing (i32.sub
      (i32.shr_u (i32.add (global.get $next) (i32.const 65535)) (i32.const 16)) (memory.size)))
    (if (i32.gt_s (local.get $missing) (i32.const 0))
      (then (if (i32.eq (memory.grow (local.get $missing)) (i32.const -1)) (then unreachable))))
    (local.get $at)))
(core instance $room (instantiate $room))
(alias core export $room "memory" (core memory $memory))
(alias core export $room "realloc" (core func $realloc))
(alias core export $room "reset" (core func $reset))
"""


def _lowered(each: _Function) -> str:
    source = _SOURCES.get(each.name, "$files")
    return (
        f'(alias export {source} "{each.wit}" (func ${each.name}))'
        f"(core func ${each.name}-lowered"
        f" (canon lower (func ${each.name}) (memory $memory) (realloc $realloc)))"
    )


def _imported(each: _Function) -> str:
    flat = " ".join(each.flat)
    how = f"(param {flat}) (result i32)" if each.result == "bool" else f"(param {flat} i32)"
    return f'  (import "n" "{each.name}" (func ${each.name} {how}))'


def _passed(each: _Function) -> str:
    gets = " ".join(f"(local.get {number})" for number in range(len(each.flat)))
    drops, at = "", 0
    for _, of in each.params:
        if of in _LENT:
            drops += f"(call $drop-{of} (local.get {at})) "
        at += len(_PARAMS[of][1].split())
    if each.result == "bool":
        body = f"(local $is i32) (local.set $is (call ${each.name} {gets})) {drops}(local.get $is)"
    else:
        body = f"(call ${each.name} {gets} (i32.const {_AT})) {drops}(i32.const {_AT})"
    return f'  (func (export "{each.name}") (param {" ".join(each.flat)}) (result i32) {body})'


def _lifted(each: _Function) -> str:
    return (
        f'(alias core export $passed "{each.name}" (core func ${each.name}-passed))'
        f'(func (export "{each.name}") {each.signature} (canon lift (core func ${each.name}-passed)'
        " (memory $memory) (realloc $realloc) (post-return $reset)))"
    )
