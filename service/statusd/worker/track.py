"""`Track`: a loop over items that tells how far it is, in the place of ``tqdm(...)``.

    for image in worker.track(images, "exposing"):
        expose(image)

Imported when the first one is made. Rules of this file: what is told of the work never raises, and
what the items raise passes. Of several tracks that are open, the one that was opened first tells
how far the work is, and the text is that of whoever said one last; one that is closed, or that
nobody holds any more, leaves this to the next.
"""

from __future__ import annotations

from _weakref import ref

from statusd.worker.notes import text_of
from statusd.worker.states import Generic

TYPE_CHECKING = False  # see statusd.worker.api
if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
    from types import TracebackType
    from typing import Any, Self

    from typing_extensions import TypeVar

    from statusd.worker.api import Worker

    ItemT = TypeVar("ItemT", default=Any)
else:
    ItemT = None

_LOOKS = {
    *("ascii", "bar_format", "colour", "delay", "disable", "dynamic_ncols", "file", "gui"),
    *("leave", "lock_args", "maxinterval", "mininterval", "miniters", "ncols", "nrows"),
    *("position", "postfix", "smoothing", "unit_divisor", "unit_scale", "write_bytes"),
}
"""What else tqdm may be told: it is taken, so that one word is all there is to change, and it
means nothing here, but for ``disable``, with which nothing is told."""


class Track(Generic[ItemT]):
    """Items to loop over, or a count to keep by hand; made by `Worker.track`.

    ``n``, ``total``, ``unit`` and ``desc`` may be set; `refresh`, or the next `update`, tells them.

    Args:
        worker: who tells; turns: makes the loop that waits and ends with the state.
        look: what else tqdm would be told; the others are those of `Worker.track`.

    Raises:
        TypeError: neither we nor tqdm know something of ``look``.
    """

    def __init__(
        self,
        worker: Worker[Any],
        turns: Callable[[], Iterator[int]],
        iterable: Iterable[ItemT] | AsyncIterable[ItemT] | None,
        desc: str | None,
        total: float | None,
        unit: str,
        initial: float,
        steer: bool,
        look: Mapping[str, object],
    ) -> None:
        unknown = look.keys() - _LOOKS
        if unknown:
            raise TypeError(f"track() got an unexpected keyword argument {min(unknown)!r}")
        self.n = self._initial = initial
        self.total = _length(iterable) if total is None else total
        self.unit, self.desc = unit, desc
        self._postfix = ""
        self._iterable: Any = iterable
        self._turns = turns if steer else _endless
        self._worker = worker
        self._open_ones: list[ref[Track[Any]]] = worker._progress.tracks
        self._mine: ref[Track[Any]] | None = None
        self._is_closed = False
        self._is_silent = bool(look.get("disable"))
        if iterable is None:
            self._tell()

    # ---- the loop ----------------------------------------------------------------------------

    def __iter__(self) -> Iterator[ItemT]:
        """Yield the items while the state asks for work; see `Worker.while_running`.

        Each is asked for when its turn has come, so also what makes it waits in PAUSED. However the
        loop is left, a generator is closed.
        """
        items: Any = iter(self._iterable)
        turns: Any = self._turns()
        self._begin()
        try:
            for _ in turns:
                try:
                    item: ItemT = next(items)
                except StopIteration:
                    return
                yield item
                self.update()
        finally:
            self.close()
            for one in (turns, items):
                if hasattr(one, "throw"):  # a generator; a file, say, is the user's to close
                    one.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.close()

    # ---- by hand -----------------------------------------------------------------------------

    def update(self, n: float = 1) -> None:
        """Say that so many more are done."""
        self.n += n
        self._tell()

    def refresh(self, *_: object, **__: object) -> None:
        """Tell how far it is, if that isn't for a track to tell that was opened before."""
        self._tell()

    def reset(self, total: float | None = None) -> None:
        """Begin anew, with another total if one is given."""
        self.n = self._initial
        if total is not None:
            self.total = total
        self._tell()

    def set_description(self, desc: object = None, refresh: bool = True) -> None:
        """Say what is being done."""
        self.desc = None if desc is None else text_of(desc)
        self._tell(self._text())

    def set_postfix(self, ordered_dict: Any = None, refresh: bool = True, **values: object) -> None:
        """Say more of it, behind what is being done: ``loss=0.13, lr=0.01``."""
        told = {**dict(ordered_dict or {}), **values}
        self.set_postfix_str(", ".join(f"{key}={_brief(value)}" for key, value in told.items()))

    def set_postfix_str(self, text: object = "", refresh: bool = True) -> None:
        """Say more of it, in words."""
        self._postfix = text_of(text)
        self._tell(self._text())

    def close(self) -> None:
        """Be done: the next one tells how far the work is, and the one around it its text."""
        mine, self._mine, self._is_closed = self._mine, None, True
        if mine is None:
            return
        _forget(self._open_ones, mine)
        around = [one for known in tuple(self._open_ones) if (one := known()) is not None]
        text = next((one._text() for one in reversed(around) if one._text()), "")
        if text and self._text():
            self._worker.text(text)

    @staticmethod
    def write(text: object = "", *_: object, **__: object) -> None:
        """Print a line: there is no bar in its way."""
        print(text)

    set_description_str = set_description
    display = clear = unpause = refresh

    # ---- inside ------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Begin to loop, a second time as well."""
        if self._is_closed:
            self.n, self._is_closed = self._initial, False
        self._tell()

    def _tell(self, text: str | None = None) -> None:
        """Tell how far it is, if that is for this one to tell; and a text, if there is a new one.

        The first time it is opened by that.
        """
        if self._is_silent or self._is_closed:
            return
        if self._mine is None:
            open_ones = self._open_ones
            self._mine = ref(self, lambda dead: _forget(open_ones, dead))
            open_ones.append(self._mine)
            text = self._text() or text
        if self._open_ones[:1] == [self._mine]:  # whoever dies is taken out at once
            self._worker.progress(self.n, self.total, text, self.unit)
        elif text is not None:
            self._worker.text(text)

    def _text(self) -> str:
        told = "" if self.desc is None else text_of(self.desc)
        return ", ".join(filter(None, (told, self._postfix)))


class AsyncTrack(Track[ItemT]):
    """A `Track` for ``async for``, made by `AsyncWorker.track`; a plain ``for`` does as well.

    While it waits in PAUSED, ``async for`` lets other tasks go on, and a plain one holds the loop.
    """

    _async_turns: Callable[[], AsyncIterator[int]]

    async def __aiter__(self) -> AsyncIterator[ItemT]:
        """Yield the items, of whatever kind of loop, as `Track.__iter__` does."""
        is_async = hasattr(self._iterable, "__aiter__")
        items: Any = aiter(self._iterable) if is_async else iter(self._iterable)
        turns: Any = self._async_turns() if self._turns is not _endless else _endless_async()
        self._begin()
        try:
            async for _ in turns:
                try:
                    item: ItemT = await anext(items) if is_async else next(items)
                except (StopIteration, StopAsyncIteration):
                    return
                yield item
                self.update()
        finally:
            self.close()
            for one in (turns, items):
                if hasattr(one, "athrow"):
                    await one.aclose()
                elif hasattr(one, "throw"):
                    one.close()


def _endless() -> Iterator[int]:
    """Yield turns that nothing stops: of a track that only counts."""
    while True:
        yield 0


async def _endless_async() -> AsyncIterator[int]:
    while True:
        yield 0


def _length(iterable: object) -> int | None:
    """Return how many items there are; None if they don't know it, or won't say."""
    try:
        return len(iterable)  # type: ignore[arg-type]  # that is the question
    except Exception:  # the user's own type decides what
        return None


def _brief(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else text_of(value)


def _forget(tracks: list[ref[Track[Any]]], one: ref[Track[Any]]) -> None:
    try:  # noqa: SIM105  # contextlib is another import in the user's process
        tracks.remove(one)
    except ValueError:  # another thread has
        pass
