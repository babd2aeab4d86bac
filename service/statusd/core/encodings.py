"""What stands before a text, or between its letters, that was written by other systems."""

from __future__ import annotations

BOM_UTF8 = b"\xef\xbb\xbf"
"""The mark that editors and shells write before a text, to say that it is UTF-8."""
UTF16 = "UTF-16, and UTF-8 is wanted"
"""What to say of a text that `is_utf16`."""
_BOMS_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def is_utf16(text: bytes) -> bool:
    """Tell whether it has the mark of UTF-16, or is ASCII in it."""
    halves = (text[::2], text[1::2])
    return text.startswith(_BOMS_UTF16) or (
        len(text) > 2 and any(half and not half.strip(b"\0") for half in halves)
    )
