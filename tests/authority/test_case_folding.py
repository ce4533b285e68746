"""Where a file has another name in capitals, a deny is refused rather than promised."""

from __future__ import annotations

from pathlib import Path

import pytest

from wassette_supervisor.authority import case_folding, mounts
from wassette_supervisor.authority.changes import NotGrantableError
from wassette_supervisor.authority.files import files
from wassette_supervisor.policy.effective import effective
from wassette_supervisor.policy.parsing import parse

MOUNTINFO = Path("/proc/self/mountinfo")


@pytest.fixture(params=["vfat", "ntfs3", "cifs"])
def folding(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A folder that the kernel's list of mounts has as one of a kind that folds case."""
    folder = tmp_path / "disk" / "folder"
    folder.mkdir(parents=True)
    line = f"9999 1 8:99 / {folder.parent} rw,relatime shared:1 master:2 - {request.param} x rw\n"
    listed = tmp_path / "mountinfo"
    listed.write_text(MOUNTINFO.read_text() + line)
    monkeypatch.setattr(mounts, "_MOUNTINFO", listed)  # few machines can mount one
    return folder


def given_for(
    folder: Path,
    access: str,
    deny: str = "",
    *,
    plain_writes: bool = False,
    audit_files: bool = False,
) -> bool:
    """Whether the folder comes with rules."""
    denied = f"deny: [{{uri: 'fs://{folder}/{deny}', access: [read]}}]" if deny else ""
    allowed = f"allow: [{{uri: 'fs://{folder}', access: [{access}]}}]"
    text = f"version: '1.0'\npermissions: {{storage: {{{allowed}, {denied}}}}}"
    right = effective(parse(text.encode()).policy, None, None, None)
    [only] = files(right, (), plain_writes=plain_writes, audit_files=audit_files).directories
    return only.rules is not None


def test_a_deny_where_case_is_folded_is_refused(folding: Path) -> None:
    assert case_folding.why_folded(str(folding), mounts.read()) is not None
    with pytest.raises(NotGrantableError, match=r"capitals.*deny nothing of it"):
        given_for(folding, "read", ".env")
    with pytest.raises(NotGrantableError, match=r"capitals.*--plain-writes"):
        given_for(folding, "read, write")
    for plain_writes in (False, True):  # which gives nothing up where each path is judged
        with pytest.raises(NotGrantableError, match=r"read only$"):
            given_for(folding, "read, write", plain_writes=plain_writes, audit_files=True)
    assert given_for(folding, "read", audit_files=True)
    assert given_for(folding, "read") is False
    assert given_for(folding, "read, write", plain_writes=True) is False


def test_a_deny_elsewhere_is_kept(tmp_path: Path) -> None:
    assert case_folding.why_folded(str(tmp_path), mounts.read()) is None
    assert given_for(tmp_path, "read", ".env")
    assert given_for(tmp_path, "read, write")


def test_a_folder_that_is_found_in_other_letters_is_one(tmp_path: Path) -> None:
    (tmp_path / "Folder").mkdir()
    (tmp_path / "fOLDER").mkdir()
    assert case_folding.why_folded(str(tmp_path / "Folder"), mounts.read()) is None
    (tmp_path / "fOLDER").rmdir()
    (tmp_path / "fOLDER").symlink_to("Folder")
    assert case_folding.why_folded(str(tmp_path / "Folder"), mounts.read()) is None


def test_the_kind_of_a_file_system_is_that_of_the_nearest_mount() -> None:
    known = mounts.read()
    nearest = mounts.mount("/proc/self", known)
    assert nearest is not None
    assert nearest.kind == "proc"
