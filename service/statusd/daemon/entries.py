"""What the broker replies when it is asked for entries of a stream, by its shape."""

from __future__ import annotations

from collections.abc import Iterator

from statusd.core.bounds import Unreadable
from statusd.unit.stream_position import as_id


def streams(reply: object) -> Iterator[object]:
    """Yield the entries of each stream of a reply to XREAD; there is one stream, or no reply.

    Raises:
        Unreadable: it is no reply to that.
    """
    if isinstance(reply, dict):
        yield from reply.values()
    elif reply is not None:
        raise Unreadable("the reply to XREAD is none")


def texts(entries: object) -> Iterator[tuple[str, dict[bytes, bytes]]]:
    """Yield id and fields of each entry.

    Raises:
        Unreadable: they are no entries.
    """
    if not isinstance(entries, list):
        raise Unreadable("no list of entries")
    for entry in entries:
        if not isinstance(entry, list) or len(entry) != 2:
            raise Unreadable("no entry")
        said = entry[1] or ()  # a deleted entry has no fields (they are null)
        if not isinstance(said, list | tuple) or not all(isinstance(one, bytes) for one in said):
            raise Unreadable("no fields of an entry")
        yield as_id(entry[0]), dict(zip(said[::2], said[1::2], strict=False))
