"""What a guest can do with files, row by row: what comes of it in plain and in exact mode."""

from __future__ import annotations

from support.files_table import changes, contents, links, paths

# In the words, and the order, of what the table is to show.
TABLE = {
    "a link pointing out": links.OUT,
    "a link to a denied file": links.TO_DENIED,
    "link chains and loops": links.CHAINS,
    "a link swapped between check and use": links.SWAPPED,
    "..": paths.PARENT,
    ".": paths.DOT,
    "doubled and trailing slashes": paths.SLASHES,
    "absolute paths": paths.ABSOLUTE,
    "NUL": paths.NUL,
    "non-UTF-8 names on disk": paths.NON_UNICODE,
    "255-byte names": paths.LONG_NAMES,
    "4096-byte paths": paths.LONG_PATHS,
    "1,000-deep trees": paths.DEEP,
    "hard links": changes.HARD_LINKS,
    "rename and link across a border": changes.BORDERS_CROSSED,
    "create in a denied place": changes.CREATED,
    "truncate through read access": changes.TRUNCATED,
    "exclusive create": changes.EXCLUSIVE,
    "append": changes.APPENDED,
    "delete": changes.DELETED,
    "set-times": changes.TIMES,
    "seek past the end": contents.PAST_END,
    "sparse files": contents.SPARSE,
    "listings": contents.LISTED,
    "/proc": contents.PROC,
    "devices": contents.DEVICE,
    "FIFOs": contents.FIFOS,
    "sockets": contents.SOCKETS,
    "mount points": contents.MOUNTS,
    "case-insensitive look-alikes": paths.LOOK_ALIKES,
    "a directory deleted or moved while open": contents.OPEN_DIRECTORIES,
}
ROWS = tuple((item, row) for item, rows in TABLE.items() for row in rows)
