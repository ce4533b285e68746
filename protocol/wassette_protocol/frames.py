"""Everything that the supervisor, the zygote, a template, a worker and a compiler may say.

One type per message, one decoder per direction: a decoder that can't produce the other
side's frames can't be confused by them.
"""

from __future__ import annotations

import enum
from typing import Annotated, NewType

import msgspec

from wassette_protocol.capabilities import (
    MAX_DIRECTORIES,
    MAX_HULL,
    Limits,
    Preopen,
    Reach,
    Storage,
    grant_fault,
)

ComponentId = NewType("ComponentId", str)
Digest = NewType("Digest", str)  # lower-case hex of a SHA-256
ChildId = NewType("ChildId", int)  # given by the supervisor, never used twice


MAX_MISSING = MAX_REFUSED = 8
MAX_KEY_CHARACTERS = 128
_Key = Annotated[str, msgspec.Meta(max_length=MAX_KEY_CHARACTERS)]
MAX_PATH_BYTES = 4096  # PATH_MAX of Linux
MAX_METHOD, MAX_AUTHORITY = 64, 512  # characters of a request's words
MAX_TARGET = 32 << 10  # a path with its query; servers commonly take 8 KiB


class Frame(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of all frames; `frozen` is repeated below because type checkers ask for it."""


class Export(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A function that a component exports: of an interface, or of the world (None)."""

    interface: str | None
    function: str


class RefusedFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file that a guest asked for in vain: its own words, bounded."""

    directory: Annotated[int, msgspec.Meta(ge=0, lt=MAX_DIRECTORIES)]  # its number in the grant
    path: Annotated[bytes, msgspec.Meta(max_length=MAX_PATH_BYTES)]  # below that directory
    write: bool  # whether to change it


class Usage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a call used, in the worker's own words: it informs, nothing is decided by it."""

    fuel: int = 0
    peak_memory: int = 0  # bytes of the process' resident memory
    instantiate_us: int = 0
    convert_us: int = 0
    call_us: int = 0
    # Keys that the guest asked wasi:config for in vain: its words, bounded.
    missing: Annotated[list[_Key], msgspec.Meta(max_length=MAX_MISSING)] = []
    # What the rules of files refused, the first ones.
    refused: Annotated[list[RefusedFile], msgspec.Meta(max_length=MAX_REFUSED)] = []


class Ending(enum.Enum):
    """Why a guest ended without a result; the worker's word."""

    TRAP = "trap"
    FUEL = "fuel"
    EPOCH = "epoch"
    MEMORY = "memory"
    EXIT = "exit"
    HOST_COPY = "host-copy"  # of what it returned
    HOST_TAKE = "host-take"  # the same, of what it gave a function of the host
    RESULT = "result"
    NO_THREAD = "no-thread"  # before it was entered


class Attempt(enum.Enum):
    """What a worker is asked to try, to see that it can't; none does harm where it succeeds."""

    READ_FILE = "read-file"  # the target is its path
    WRITE_FILE = "write-file"  # the path of a file that isn't there
    CONNECT = "connect"  # a TCP port of this machine
    FORK = "fork"
    EXECUTE = "execute"  # the path of a shell
    MAP_EXECUTABLE = "map-executable"
    TRACE = "trace"  # the number of a process
    READ_MEMORY = "read-memory"  # the same


class Identity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The user and the group that a process becomes."""

    uid: int
    gid: int


# --- supervisor to zygote -------------------------------------------------------------------


class StartTemplate(Frame, frozen=True, tag="start-template"):
    """Make a template; its control socket and output pipe come with the message.

    So does a handle on each place of `hull`: beyond these no worker of it reaches a file.
    """

    child: ChildId
    fresh_interpreters: bool
    namespaces: bool
    identity: Identity | None  # what to become when the supervisor is root
    storage: Storage
    network: bool  # whether its workers' connections are answered by the broker
    hull: Annotated[list[Reach], msgspec.Meta(max_length=MAX_HULL)]


class StartCompiler(Frame, frozen=True, tag="start-compiler"):
    """Make a compile worker; socket, output pipe, component and artefact come with it."""

    child: ChildId
    namespaces: bool
    identity: Identity | None


ToZygote = StartTemplate | StartCompiler


# --- zygote to supervisor -------------------------------------------------------------------


class ZygoteReady(Frame, frozen=True, tag="zygote-ready"):
    """The engine is loaded. `engine` names its version, settings and processor, in hex."""

    engine: str
    namespaces: str  # empty, or why the system refuses them
    lacking: dict[str, str]  # steps of the lock-down that the kernel hasn't, each with the reason


class ChildEnded(Frame, frozen=True, tag="child-ended"):
    """A child was reaped; `status` as waitpid(2) gives it. From a template: its word only.

    Or there was none: `refused` is then the errno of the fork.
    """

    child: ChildId
    status: int
    refused: int = 0


FromZygote = ZygoteReady | ChildEnded


# --- supervisor to template -----------------------------------------------------------------


class Prepare(Frame, frozen=True, tag="prepare"):
    """Hold this component; its artefact and that of the shims come with the message."""

    limits: Limits
    wasi: str  # the version of WASI that the engine's linker defines, e.g. 0.2.12
    exact: bool = False  # whether each path that a guest names is judged
    network: bool = False  # whether a connection of a worker is answered by the broker


class StartWorker(Frame, frozen=True, tag="start-worker"):
    """Fork a worker; its socket and its output pipe come with the message."""

    child: ChildId


ToTemplate = Prepare | StartWorker


# --- template to supervisor -----------------------------------------------------------------


class TemplateReady(Frame, frozen=True, tag="template-ready"):
    """Locked down, by these steps in this order; sent before any untrusted byte is read."""

    steps: list[str]


class Prepared(Frame, frozen=True, tag="prepared"):
    """The component is mapped; workers can be started."""


class TemplateFailed(Frame, frozen=True, tag="template-failed"):
    reason: str


FromTemplate = TemplateReady | Prepared | TemplateFailed | ChildEnded


# --- supervisor to worker -------------------------------------------------------------------


class Echo(Frame, frozen=True, tag="echo"):
    """Answer with the same nonce: proves that the process named by a pid still lives."""

    nonce: int


class Grant(Frame, frozen=True, tag="grant"):
    """What the instance is given; one descriptor for each directory comes with it, in order.

    The values may be secrets: they stand in no text of this frame.
    """

    environment: list[tuple[str, str]]
    directories: list[Preopen]
    # Bytes of the largest file that may be written; None: no more is limited than was before.
    file_size: Annotated[int, msgspec.Meta(ge=1)] | None = None
    # Files, directories and links that may be made; None: any number. Kept where paths are judged.
    files: Annotated[int, msgspec.Meta(ge=1)] | None = None
    # Whether each open is told by FileOpened, and given to the guest after Recorded alone.
    audited: bool = False

    def __post_init__(self) -> None:
        fault = grant_fault(self.environment, self.directories)
        if fault is not None:
            raise ValueError(fault)

    def __repr__(self) -> str:
        names = [name for name, _ in self.environment]
        return f"Grant(environment of {names!r}, directories={self.directories!r})"


class Run(Frame, frozen=True, tag="run"):
    """Call one export; sent once."""

    export: Export
    arguments: bytes  # JSON


class Try(Frame, frozen=True, tag="try"):
    """Try this in the guest's place, and call nothing; sent once, by `doctor` alone."""

    attempt: Attempt
    target: str = ""


class Recorded(Frame, frozen=True, tag="recorded"):
    """The open that was told is on record: the guest may have what it gave."""


class HttpAllowed(Frame, frozen=True, tag="http-allowed"):
    """The request may go to the broker, by this id instead of its target."""

    id: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]


class HttpRefused(Frame, frozen=True, tag="http-refused"):
    """The guest gets this error, one of REFUSALS."""

    code: str
    final: bool = False  # every later one is refused likewise: none may be asked for any more


ToWorker = Echo | Grant | Run | Try | Recorded | HttpAllowed | HttpRefused


# --- worker to supervisor -------------------------------------------------------------------


class Echoed(Frame, frozen=True, tag="echoed"):
    nonce: int


class Started(Frame, frozen=True, tag="started"):
    """The first frame of a worker or compiler: the kernel adds who sent it.

    With network a worker adds the descriptor on which the kernel tells its connections.
    """

    steps: list[str]


class Instantiated(Frame, frozen=True, tag="instantiated"):
    """The component stands; a call can be taken."""

    instantiate_us: int


class Returned(Frame, frozen=True, tag="returned"):
    """The guest returned; `failed` if the function's own result was its error case."""

    result: bytes  # JSON: {"result": value}, or {} for a function without a result
    failed: bool
    usage: Usage


class Refused(Frame, frozen=True, tag="refused"):
    """The arguments don't fit the export's types; the guest was not entered."""

    pointer: str  # RFC 6901
    expected: str
    got: str


class Ended(Frame, frozen=True, tag="ended"):
    """The guest, or its instantiation, ended without a result."""

    ending: Ending
    detail: str
    usage: Usage


class Tried(Frame, frozen=True, tag="tried"):
    error: int  # number of the error with which it was refused; 0: it could be done


class FileOpened(Frame, frozen=True, tag="file-opened"):
    """The guest opens a file or a directory, or was refused; it waits until that is on record."""

    directory: Annotated[int, msgspec.Meta(ge=0, lt=MAX_DIRECTORIES)]  # its number in the grant
    # Below that directory, without links, as far as it could be followed; its first bytes.
    path: Annotated[bytes, msgspec.Meta(max_length=MAX_PATH_BYTES)]
    read: bool
    write: bool
    # OPENED, or an error-code of wasi:filesystem.
    outcome: Annotated[str, msgspec.Meta(pattern="^[a-z-]{1,32}$")]


OPENED = "opened"


class HttpRequested(Frame, frozen=True, tag="http-requested"):
    """The guest's call makes a request, in its own words; it waits for the decision."""

    method: Annotated[str, msgspec.Meta(max_length=MAX_METHOD)]
    scheme: Annotated[str, msgspec.Meta(max_length=MAX_METHOD)] | None
    authority: Annotated[str, msgspec.Meta(max_length=MAX_AUTHORITY)] | None
    path: Annotated[str, msgspec.Meta(max_length=MAX_TARGET)] | None  # with its query


_Answer = Returned | Refused | Ended | Tried
FromWorker = Echoed | Started | Instantiated | _Answer | FileOpened | HttpRequested


# --- supervisor to compiler -----------------------------------------------------------------


class Compile(Frame, frozen=True, tag="compile"):
    """Compile the component on the descriptor that came with the start."""

    size: int  # bytes


class BuildShims(Frame, frozen=True, tag="build-shims"):
    """Compile the shims, and prove with a probe that a guest can't get past the guards."""


ToCompiler = Echo | Compile | BuildShims


# --- compiler to supervisor -----------------------------------------------------------------


class Tool(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An export that can be called with JSON."""

    export: Export
    input_schema: bytes  # JSON Schema 2020-12
    output_schema: bytes | None
    docs: str


class LeftOut(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An export that is no tool, and why."""

    export: Export
    reason: str


class Progress(Frame, frozen=True, tag="progress"):
    stage: str


class Compiled(Frame, frozen=True, tag="compiled"):
    artefact: int  # bytes written to the artefact's descriptor
    imports: list[str]
    tools: list[Tool]
    left_out: list[LeftOut]


class CompileFailed(Frame, frozen=True, tag="compile-failed"):
    reason: str


class ShimsBuilt(Frame, frozen=True, tag="shims-built"):
    artefact: int  # bytes written to the artefact's descriptor
    wasi: str


FromCompiler = Echoed | Started | Progress | Compiled | CompileFailed | ShimsBuilt
