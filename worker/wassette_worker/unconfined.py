"""Describes a component where there is no lock-down: `python -I -m wassette_worker.unconfined`.

The bytes come on standard input, one frame goes to standard output. Not even a start function of
the component is run; but its bytes are parsed and compiled with all rights of the user. On Linux
nobody starts this: there `compiler` does it.
"""

from __future__ import annotations

import sys

from wassette_protocol import frames
from wassette_protocol.codec import encode_frame
from wassette_worker.describing import RefusedError, described, parse
from wassette_worker.engine import build_engine


def main() -> None:
    content = sys.stdin.buffer.read()
    engine = build_engine()
    answer: frames.Frame
    try:
        answer = described(engine, parse(engine, content), content, artefact=0)
    except RefusedError as error:
        answer = frames.CompileFailed(str(error)[:1000])
    sys.stdout.buffer.write(encode_frame(answer))
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
