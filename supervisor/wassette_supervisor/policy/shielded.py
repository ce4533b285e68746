"""What is never written to under a grant of more: files that make other programs run something.

They are read by tools of the person whose files these are, who would run a guest's words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from wassette_protocol.file_rules import Shielded
from wassette_protocol.patterns import ANY, Pattern

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from wassette_supervisor.policy.effective import Effective, Path

REASON = "it is never written to under a grant of more, unless a rule names it"


class _Row(NamedTuple):
    name: str  # one path or several, by blanks
    why: str  # who runs what it says


# Shells: the sections "Invocation" or "Startup files" of bash(1), zsh(1), ksh(1), tcsh(1), fish(1).
_ROWS = (
    _Row(".git/hooks", "git runs them: githooks(5)"),
    _Row(".git/config", "it names commands, as core.fsmonitor and core.sshCommand: git-config(1)"),
    _Row(".gitmodules", "it says from where git takes what to check out: gitmodules(5)"),
    _Row(".bashrc .bash_profile .bash_login .bash_logout .bash_aliases", "bash reads them"),
    _Row(".profile", "sh, bash, ksh and display managers read it"),
    _Row(".zshenv .zshrc .zprofile .zlogin .zlogout", "zsh reads them"),
    _Row(".kshrc .mkshrc", "ksh and mksh read them"),
    _Row(".cshrc .tcshrc .login .logout", "csh and tcsh read them"),
    _Row(".config/fish", "fish reads config.fish, conf.d and functions in it"),
    _Row(".config/nushell .config/powershell", "these shells read what is in it"),
    _Row(".envrc", "direnv(1) runs it in whoever's shell enters the folder"),
    _Row(".vscode", "the editor runs tasks and settings of it"),
    _Row(".idea", "the editor runs configurations of it"),
    _Row(".mcp.json", "clients start the servers that it names"),
    _Row(".claude .cursor", "clients take commands, hooks and servers from it"),
)


class _Shield(NamedTuple):
    segments: Path

    @property
    def pattern(self) -> Pattern:
        return Pattern((ANY, *self.segments), below=True)

    def is_named_by(self, segments: Path) -> bool:
        """Whether these have its names literally, one after the other."""
        size = len(self.segments)
        return any(segments[at : at + size] == self.segments for at in range(len(segments)))


def _shields() -> Iterator[_Shield]:
    for row in _ROWS:
        for name in row.name.split():
            yield _Shield(tuple(name.encode().split(b"/")))


SHIELDS = tuple(_shields())


def shielded(writing: Iterable[Pattern]) -> list[Shielded]:
    """All of them, as patterns of absolute paths.

    Args:
        writing: What the component's own policy lets it write to.
    """
    patterns = list(writing)
    return [
        Shielded(
            shield.pattern, tuple(each for each in patterns if shield.is_named_by(each.segments))
        )
        for shield in SHIELDS
    ]


def is_shielded(effective: Effective, path: Path) -> bool:
    """Whether one of them keeps an absolute path from being written to."""
    rules = effective.policy.storage_allow
    writing = [clause.whole for clause in rules if "write" in clause.access]
    return any(keeps(shield, path) for shield in shielded(writing))


def keeps(shield: Shielded, path: Path) -> bool:
    return shield.pattern.matches(path) and not any(named.matches(path) for named in shield.named)
