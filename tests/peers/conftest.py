from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.certificates import Authority
from support.name_server import NameServer, name_server
from support.nginx import Nginx, nginx

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")  # other tests ask whether a process is left
def peer(authority: Authority) -> Iterator[Nginx]:
    with nginx(authority) as found:
        yield found


@pytest.fixture
def names() -> Iterator[NameServer]:
    with name_server() as found:
        yield found
