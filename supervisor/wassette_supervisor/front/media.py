"""Images, sounds and files of a result as MCP content, beside its structured value."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import mcp_types as types

from wassette_supervisor.front import media_records, media_type
from wassette_supervisor.front.media_type import Form, Judged

# Of one result. Their bytes are bounded with the rest of it, by the limit `result`.
MAX_BLOCKS = 32


class TooManyMediaError(ValueError):
    """More images and files than one result may have; the text is for a model."""

    def __init__(self, found: int) -> None:
        super().__init__(
            f"the tool returned {found} images or files; at most {MAX_BLOCKS} of one result are "
            "passed on, so ask it for fewer at once"
        )


class Media:
    """What one result holds: content for its records, and what is to be said of them."""

    def __init__(self, value: Any) -> None:
        """Take a result of a tool whose output schema says that it gives media.

        Raises:
            TooManyMediaError: It has more than `MAX_BLOCKS`.
        """
        self.blocks: list[types.ContentBlock] = []
        self.notes: list[str] = []
        found = media_records.count(value)
        if found > MAX_BLOCKS:
            raise TooManyMediaError(found)
        self.value = media_records.replaced(value, self._placed)

    def _placed(self, record: dict[str, Any]) -> dict[str, Any]:
        mime_type = media_type.parse(str(record.get("mime-type")))
        data = _decoded(record.get("data"))
        if mime_type is None or data is None:
            what = "`data` is no base64 text" if data is None else "`mime-type` is no MIME type"
            self.notes.append(f"An image or file is given as a plain value: its {what}.")
            return record
        judged = media_type.judge(mime_type, data)
        # The value's text is content 0.
        place = {"content": len(self.blocks) + 1, "bytes": len(data)}
        if judged.unlike:
            self.notes.append(
                f"Content {place['content']} is given as bytes of no known type: "
                f"it does not begin as {judged.unlike} does."
            )
        self.blocks.append(_block(judged, data, record["data"]))
        return record | {"data": place}


def _decoded(text: object) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True) if isinstance(text, str) else None
    except ValueError:
        return None


def _block(judged: Judged, data: bytes, encoded: str) -> types.ContentBlock:
    mime_type = judged.mime_type
    match judged.form:
        case Form.IMAGE:
            return types.ImageContent(data=encoded, mime_type=mime_type)
        case Form.AUDIO:
            return types.AudioContent(data=encoded, mime_type=mime_type)
        case Form.TEXT:
            text = types.TextResourceContents(uri=_uri(data), mime_type=mime_type, text=judged.text)
            return types.EmbeddedResource(resource=text)
        case Form.BLOB:
            blob = types.BlobResourceContents(uri=_uri(data), mime_type=mime_type, blob=encoded)
            return types.EmbeddedResource(resource=blob)


def _uri(data: bytes) -> str:
    """RFC 6920: named by what it is; it leads nowhere, and no word of it is the guest's."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
    return f"ni:///sha-256;{digest}"
