"""The guest `net` again, in Python: what its library of HTTP does for it, and its sockets."""

import asyncio
import encodings.idna  # noqa: F401 - what is not imported when it is built is not there later
import errno
import re
import socket
from typing import TypeVar

import poll_loop
import wit_world.exports
from componentize_py_types import Err, Ok
from wit_world.exports.client import Answer, Attempt
from wit_world.imports import outgoing_handler, poll, streams, types

_T = TypeVar("_T")
_ACRONYMS = {"DNS", "HTTP", "IP", "TLS", "URI"}
_METHODS = {
    "GET": types.Method_Get,
    "HEAD": types.Method_Head,
    "POST": types.Method_Post,
    "PUT": types.Method_Put,
    "DELETE": types.Method_Delete,
    "CONNECT": types.Method_Connect,
    "OPTIONS": types.Method_Options,
    "TRACE": types.Method_Trace,
    "PATCH": types.Method_Patch,
}
_SCHEMES = {"http": types.Scheme_Http, "https": types.Scheme_Https}
_PIECE = b"0123456789abcdef" * 256
_LARGE = b"." * 65536

# A resource may not be dropped before what came of it, and Python drops in no order that is told:
# they are kept until the instance ends.
_kept: list[object] = []


def _keep(resource: _T) -> _T:
    _kept.append(resource)
    return resource


# --- names of errors


def _words(name: str) -> list[str]:
    return re.findall("[A-Z][a-z]+", name)


def _error_name(error: object) -> str:
    """As the case is written in WIT: `ErrorCode_TlsAlertReceived` is `TLS-alert-received`."""
    if isinstance(error, str):
        return error
    if isinstance(error, streams.StreamError_Closed):
        return "closed"
    if isinstance(error, streams.StreamError_LastOperationFailed):
        code = types.http_error_code(error.value)
        return "io-error" if code is None else _error_name(code)
    words = _words(type(error).__name__.partition("_")[2])
    return "-".join(w.upper() if w.upper() in _ACRONYMS else w.lower() for w in words)


class _Named:
    """Turns an error of the host into its name, behind the function that is named, if any."""

    def __init__(self, function: str = "") -> None:
        self.function = function

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if isinstance(error, Err):
            if self.function.startswith("set-"):
                raise Err(self.function) from None
            name = _error_name(error.value)
            raise Err(f"{self.function} {name}" if self.function else name) from None


# --- requests


def _fields(pairs: list[tuple[str, str]]) -> types.Fields:
    fields = _keep(types.Fields())
    for name, value in pairs:
        with _Named("append"):
            fields.append(name, value.encode("latin-1"))
    return fields


def _request(
    method: str,
    scheme: str | None,
    authority: str | None,
    path: str | None,
    headers: list[tuple[str, str]],
) -> types.OutgoingRequest:
    request = _keep(types.OutgoingRequest(_fields(headers)))
    known = _METHODS.get(method)
    with _Named("set-method"):
        request.set_method(known() if known else types.Method_Other(method))
    if scheme is not None:
        word = _SCHEMES.get(scheme)
        with _Named("set-scheme"):
            request.set_scheme(word() if word else types.Scheme_Other(scheme))
    with _Named("set-authority"):
        request.set_authority(authority)
    with _Named("set-path-with-query"):
        request.set_path_with_query(path)
    return request


def _of_url(method: str, url: str, headers: list[tuple[str, str]]) -> types.OutgoingRequest:
    scheme, _, rest = url.partition("://")
    authority = re.match("[^/?#]*", rest).group()
    return _request(method, scheme, authority, rest[len(authority) :] or None, headers)


def _asked(request: types.OutgoingRequest) -> types.IncomingResponse:
    """The answer, by the library's event loop."""
    with _Named():
        return _keep(_run(poll_loop.send(request)))


def _handled(
    request: types.OutgoingRequest, options: types.RequestOptions | None = None
) -> types.FutureIncomingResponse:
    with _Named():
        return _keep(outgoing_handler.handle(request, options))


def _awaited(future: types.FutureIncomingResponse) -> types.IncomingResponse:
    with future.subscribe() as pollable:
        pollable.block()
    came = future.get().value
    if isinstance(came, Ok):
        return _keep(came.value)
    raise Err(_error_name(came.value))


def _run(task: object) -> object:
    loop = poll_loop.PollLoop()
    asyncio.set_event_loop(loop)
    return loop.run_until_complete(task)


# --- bodies


def _writing(body: types.OutgoingBody) -> poll_loop.Sink:
    return _keep(poll_loop.Sink(_keep(body)))


def _reading(response: types.IncomingResponse) -> poll_loop.Stream:
    return _keep(poll_loop.Stream(_keep(response.consume())))


async def _length(stream: poll_loop.Stream) -> int:
    length = 0
    while (piece := await stream.next()) is not None:
        length += len(piece)
    return length


def _counted(response: types.IncomingResponse) -> int:
    with _Named():
        return _run(_length(_reading(response)))


def _text(pairs: list[tuple[str, bytes]]) -> list[tuple[str, str]]:
    return [(name, value.decode("latin-1")) for name, value in pairs]


def _whole(response: types.IncomingResponse) -> Answer:
    headers = _text(_keep(response.headers()).entries())
    body = _keep(response.consume())
    content = b""
    with _Named(), body.stream() as stream:
        try:
            while True:
                with stream.subscribe() as pollable:
                    pollable.block()
                content += stream.read(len(_LARGE))
        except Err as error:
            if not isinstance(error.value, streams.StreamError_Closed):
                raise
    future = _keep(types.IncomingBody.finish(body))
    with future.subscribe() as pollable:
        pollable.block()
    came = future.get().value
    if isinstance(came, Err):
        raise Err(_error_name(came.value))
    trailers = came.value
    return Answer(
        status=response.status(),
        headers=headers,
        body=content,
        trailers=[] if trailers is None else _text(_keep(trailers).entries()),
    )


async def _sent(sink: poll_loop.Sink, body: bytes, trailers: types.Fields | None) -> None:
    try:
        await sink.send(body)
    except Err:
        return  # who stopped reading may have answered: that counts
    sink.stream.__exit__(None, None, None)
    types.OutgoingBody.finish(sink.body, trailers)


async def _both(
    request: types.OutgoingRequest, body: bytes, trailers: types.Fields | None
) -> types.IncomingResponse:
    sink = _writing(request.body())
    response, _ = await asyncio.gather(poll_loop.send(request), _sent(sink, body, trailers))
    return response


# --- sockets


def _try_socket(what: Attempt, port: int) -> None:
    if what is Attempt.NAME_LOOKUP:
        socket.getaddrinfo("localhost", port)
        return
    tcp = what in {Attempt.TCP_CONNECT, Attempt.TCP_LISTEN}
    with socket.socket(type=socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as one:
        if what is Attempt.TCP_CONNECT:
            one.connect(("127.0.0.1", port))
        elif what is Attempt.UDP_SEND:
            one.sendto(b"out", ("127.0.0.1", port))
        else:
            one.bind(("127.0.0.1", port))
            if tcp:
                one.listen()


class Client(wit_world.exports.Client):
    def fetch(
        self, method: str, url: str, headers: list[tuple[str, str]], body: bytes | None
    ) -> Answer:
        request = _of_url(method, url, headers)
        if body is None:
            return _whole(_asked(request))
        with _Named():
            response = _keep(_run(_both(request, body, None)))
        return _whole(response)

    def fetch_with_trailers(
        self,
        method: str,
        url: str,
        headers: list[tuple[str, str]],
        body: bytes,
        trailers: list[tuple[str, str]],
    ) -> Answer:
        fields = _fields(trailers)
        with _Named():
            response = _keep(_run(_both(_of_url(method, url, headers), body, fields)))
        return _whole(response)

    def ask(self, method: str, scheme: str | None, authority: str | None, path: str | None) -> int:
        return _asked(_request(method, scheme, authority, path, [])).status()

    def hurry(
        self,
        url: str,
        connect: int | None,
        first_byte: int | None,
        between_bytes: int | None,
    ) -> int:
        options = _keep(types.RequestOptions())
        for name, duration in (
            ("connect", connect),
            ("first_byte", first_byte),
            ("between_bytes", between_bytes),
        ):
            if duration is not None:
                getattr(options, f"set_{name}_timeout")(duration * 1_000_000)
        return _counted(_awaited(_handled(_of_url("GET", url, []), options)))

    def download(self, url: str) -> int:
        return _counted(_asked(_of_url("GET", url, [])))

    def upload(self, url: str, size: int) -> int:
        request = _of_url("POST", url, [])
        body = _keep(request.body())
        future = _handled(request)
        stream = _keep(body.write())
        while size:
            with stream.subscribe() as room, future.subscribe() as answer:
                ready = poll.poll([room, answer])
            if 1 in ready:
                return _awaited(future).status()
            try:
                piece = _LARGE[: min(size, stream.check_write())]
                stream.write(piece)
            except Err:
                return _awaited(future).status()
            size -= len(piece)
        stream.__exit__(None, None, None)
        with _Named():
            types.OutgoingBody.finish(body, None)
        return _awaited(future).status()

    def echo_stream(self, url: str, pieces: int) -> int:
        async def exchange(sink: poll_loop.Sink, future: types.FutureIncomingResponse) -> int:
            back = None
            length = 0
            for _ in range(pieces):
                await sink.send(_PIECE)
                back = back or _reading(_awaited(future))
                came = b""
                while len(came) < len(_PIECE) and (more := await back.next()) is not None:
                    came += more
                if came != _PIECE:
                    raise Err("not what was sent")
                length += len(came)
            sink.close()
            return length + (await _length(back) if back else 0)

        request = _of_url("POST", url, [])
        sink = _writing(request.body())
        future = _handled(request)
        with _Named():
            return _run(exchange(sink, future))

    def parallel(self, urls: list[str]) -> list[Ok[int] | Err[str]]:
        async def status(url: str) -> Ok[int] | Err[str]:
            try:
                return Ok(_keep(await poll_loop.send(_of_url("GET", url, []))).status())
            except Err as error:
                return Err(_error_name(error.value))

        async def statuses() -> list[Ok[int] | Err[str]]:
            return await asyncio.gather(*map(status, urls))

        return _run(statuses()) if urls else []

    def abandon(self, url: str) -> int:
        response = _asked(_of_url("GET", url, []))
        status = response.status()
        body = response.consume()
        body.__exit__(None, None, None)
        return status

    def probe(self, what: Attempt, port: int) -> str:
        try:
            _try_socket(what, port)
        except socket.gaierror as error:
            return f"getaddrinfo {error.args[0]}"
        except OSError as error:
            return errno.errorcode.get(error.errno, str(error.errno))
        return "done"
