"""A granted directory is opened as it was judged, or not at all."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from support.pools import directory
from support.processes import open_descriptors
from wassette_supervisor.errors import CallError
from wassette_supervisor.pool.directories import opened
from wassette_supervisor.pool.grants import Directory, DirectoryChangedError, GrantError


async def refusal(*directories: Directory) -> CallError:
    """Why they are not opened; no descriptor may be left by it."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(opened([]))
        before = set(open_descriptors().values())
        with pytest.raises(CallError) as caught:
            await stack.enter_async_context(opened(directories))
        assert {what for what in open_descriptors().values() if what.startswith("/")} <= before
    return caught.value


async def test_a_directory_is_opened_by_its_path_and_closed_after(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    async with opened([directory(folder, "d"), directory(tmp_path, "e")]) as numbers:
        found = [open_descriptors()[number] for number in numbers]
        assert found == [str(folder), str(tmp_path)]
    assert str(folder) not in open_descriptors().values()


async def test_the_root_can_be_opened() -> None:
    async with opened([directory(Path("/"), "d")]) as [number]:
        assert open_descriptors()[number] == "/"


async def test_a_block_that_fails_leaves_no_descriptor(tmp_path: Path) -> None:
    with pytest.raises(LookupError):
        async with opened([directory(tmp_path, "d")]):
            raise LookupError
    assert str(tmp_path) not in open_descriptors().values()


async def test_a_directory_that_is_gone_is_refused(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    judged = directory(tmp_path / "d", "work")
    (tmp_path / "d").rmdir()
    error = await refusal(judged)
    assert isinstance(error, DirectoryChangedError)
    assert "'work' changed while the call started: No such file or directory" in str(error)
    assert str(tmp_path) not in str(error)


async def test_a_directory_that_was_replaced_is_refused(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    judged = directory(tmp_path / "d", "d")
    (tmp_path / "d").rename(tmp_path / "kept")  # so that its number is not used again
    (tmp_path / "d").mkdir()
    assert isinstance(await refusal(judged), DirectoryChangedError)


@pytest.mark.parametrize("where", ["at the end", "on the way"])
async def test_a_link_in_place_of_a_directory_is_refused_even_if_it_leads_to_the_same(
    tmp_path: Path, where: str
) -> None:
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    judged = directory(folder, "d")
    swapped = folder if where == "at the end" else folder.parent
    swapped.rename(tmp_path / "moved")
    swapped.symlink_to(tmp_path / "moved")
    assert folder.samefile(tmp_path / "moved" / ("b" if where == "on the way" else ""))
    assert isinstance(await refusal(judged), DirectoryChangedError)


async def test_a_file_in_place_of_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    judged = directory(tmp_path / "d", "d")
    (tmp_path / "d").rmdir()
    (tmp_path / "d").write_text("")
    assert isinstance(await refusal(judged), DirectoryChangedError)


async def test_a_file_of_the_same_number_in_place_of_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "d").write_text("")
    judged = directory(tmp_path / "d", "d")
    assert isinstance(await refusal(judged), DirectoryChangedError)


async def test_directories_before_a_refused_one_are_closed(tmp_path: Path) -> None:
    good = directory(tmp_path, "good")
    error = await refusal(good, replace(good, guest="bad", inode=good.inode + 1))
    assert isinstance(error, DirectoryChangedError)
    assert error.directory == "bad"


async def test_a_path_that_cannot_be_walked_is_told_as_such(tmp_path: Path) -> None:
    error = await refusal(Directory("d", f"{tmp_path}/{'x' * 300}", 1, 2, writable=False))
    assert isinstance(error, GrantError)
    assert "name too long" in str(error)
