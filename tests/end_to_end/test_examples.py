"""The examples that the demo does not run, each with the policy that lies beside it."""

from __future__ import annotations

import functools
import json
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support import guests, served

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """Where a server of Python's own gives out a folder, by IPv4 alone."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "page.txt").write_text("A page.\n")
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "site"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture
def store(port: int, tmp_path: Path) -> Path:
    """With the fetcher, which takes its time to be compiled."""
    policy = tmp_path / "policy.yaml"
    text = (EXAMPLES / "python-fetcher" / "policy.yaml").read_text()
    policy.write_text(text.replace("localhost:8080", f"localhost:{port}"))
    assert policy.read_text() != text
    made = tmp_path / "store"
    served.load(made, guests.guest_path("fetcher"), "--policy", str(policy))
    return made


def test_the_fetcher_gets_pages_of_the_site_in_its_policy_and_of_no_other(
    port: int, store: Path
) -> None:
    def fetch(url: str) -> str:
        done = served.operate(store, "tool", "invoke", "fetch-page", "--args", f'{{"url":"{url}"}}')
        return (done.stdout or done.stderr).decode()

    assert json.loads(fetch(f"http://localhost:{port}/page.txt")) == "A page.\n"
    assert "the host answered with the status 404" in fetch(f"http://localhost:{port}/none")
    assert "no page: HttpRequestDenied" in fetch(f"http://127.0.0.1:{port}/page.txt")
    lines = served.operate(store, "audit", "--event", "request").stdout.splitlines()
    assert [json.loads(line)["detail"].get("status") for line in lines] == [200, 404, None]
