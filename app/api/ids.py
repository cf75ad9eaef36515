"""The forms in which an id is shown and taken: ObjectId, integer, handle `wf_…`, and a UUIDv8 that encodes the ObjectId.

A UUIDv8 has 122 free bits: 48 before the version, 12 before the variant, 62 behind it. The 96 bits of the ObjectId fill
them from the left; the 26 that are left over are zero in an id.
"""

import re
import uuid
from typing import Final

from app.services.errors import Detail, ServiceError

NOBODY: Final = "0" * 24  # well-formed, and nothing's
object_id_form: Final = re.compile(r"[0-9a-f]{24}")
_uuid_form: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_handle_form: Final = re.compile(r"wf_[0-9a-f]{24}")
_number_form: Final = re.compile(r"[1-9][0-9]{0,17}")
_spare: Final = 26
SPARE: Final = 1 << _spare


def to_uuid(object_id: str, spare: int = 0) -> str:
    """The UUID of an ObjectId; with `spare` (below SPARE) that of something of it, which is no id in itself."""
    bits = int(object_id, 16)
    first, second, third = bits >> 48, (bits >> 36) & 0xFFF, bits & 0xF_FFFF_FFFF
    text = f"{first << 80 | 8 << 76 | second << 64 | 0b10 << 62 | third << _spare | spare:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def from_uuid(text: str) -> str | None:
    """The ObjectId in a UUID; None: it is none of ours."""
    bits = uuid.UUID(text).int
    object_id = f"{(bits >> 80) << 48 | ((bits >> 64) & 0xFFF) << 36 | (bits >> _spare) & 0xF_FFFF_FFFF:024x}"
    return object_id if to_uuid(object_id) == text.lower() else None


def decode_id(text: str, *, handles: bool = False) -> str | None:
    """The ObjectId that `text` stands for; None: malformed. Raises not_found for a UUID that is none of ours."""
    if object_id_form.fullmatch(text):
        return text
    if handles and _handle_form.fullmatch(text):
        return text[3:]
    if _uuid_form.fullmatch(text):
        found = from_uuid(text)
        if found is None:
            raise ServiceError("not_found", "there is nothing with this id")
        return found
    return None


def number(text: str) -> int | None:
    """The integer form of an id; None: it is another form."""
    return int(text) if _number_form.fullmatch(text) else None


def workflow_id(text: str, field: str = "workflow_id") -> str:
    """The ObjectId of a workflow. Raises invalid_value naming the field."""
    return _known(decode_id(text, handles=True), field)


def run_id(text: str, field: str = "run_id") -> str:
    """The ObjectId of a run. Raises invalid_value naming the field."""
    return _known(decode_id(text), field)


def _known(found: str | None, field: str) -> str:
    if found is None:
        raise ServiceError("invalid_value", f"{field} is malformed", details=[Detail(field, "is malformed")])
    return found
