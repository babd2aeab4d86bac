"""Files are fetched, several at once: PAUSE means no new ranges, END leaves what is there.

`worker.track` twice: by hand for the bytes of all files together, and as the loop of each task.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from http.client import HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from statusd import AsyncWorker

URLS = Path("urls.txt")
AT_ONCE = 3
RANGE = int(os.environ.get("RANGE", "1000000"))
TIMEOUT_S = 30.0


class File:
    """One file, as far as it is here.

    Raises:
        OSError: its server can't be reached, or can't be fetched from bit by bit.
    """

    def __init__(self, url: str) -> None:
        self.url, self.here = url, Path(Path(urlsplit(url).path).name)
        with urlopen(Request(url, method="HEAD"), timeout=TIMEOUT_S) as head:
            if not (head.headers["Content-Length"] and self.here.name):
                raise OSError(f"{url}: its server doesn't say how large it is")
            self.size = int(head.headers["Content-Length"])
            self._version = version(head)
        named = hashlib.sha256(f"{url} {self.size} {self._version}".encode()).hexdigest()[:8]
        self._part = Path(f"{self.here}.{named}.part")  # of another version it is another one

    @property
    def has(self) -> int:
        """How many bytes are here."""
        if self.here.exists():
            return self.size
        return self._part.stat().st_size if self._part.exists() else 0

    def fetch(self) -> int:
        """Append the next range, and return how many bytes it has."""
        start = self.has
        wanted = {"Range": f"bytes={start}-{min(start + RANGE, self.size) - 1}"}
        with urlopen(Request(self.url, headers=wanted), timeout=TIMEOUT_S) as reply:
            if reply.status != 206 or version(reply) != self._version:
                raise OSError(f"{self.url}: its server knows no ranges, or has changed the file")
            block = reply.read()
        with self._part.open("ab") as part:
            part.write(block)
        return len(block)

    def finish(self) -> None:
        """Give it its name: only a whole file has it."""
        if not self.here.exists():
            self._part.touch()  # an empty one has no range
            self._part.rename(self.here)


def version(reply: HTTPResponse) -> str:
    """Return by what a server tells one version of a file from another."""
    return str(reply.headers["ETag"] or reply.headers["Last-Modified"] or "")


async def main(worker: AsyncWorker) -> None:
    """Fetch all; what raises in one task ends the others, and the next worker goes on."""
    lines = URLS.read_text(encoding="utf-8").split("\n")
    urls = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    files = await asyncio.gather(*(asyncio.to_thread(File, url) for url in urls))
    if len({file.here for file in files}) < len(files):
        raise ValueError(f"{URLS}: two of them would have the same name here")
    size, has = sum(file.size for file in files), sum(file.has for file in files)
    with worker.track(desc="fetching", total=size, initial=has, unit="B") as bar:
        waiting = iter(files)
        await asyncio.gather(*(fetch(waiting, worker, bar.update) for _ in range(AT_ONCE)))
    whole = [file for file in files if file.here.exists()]
    print(f"{len(whole)} of {len(files)} files are whole")


async def fetch(
    waiting: Iterator[File], worker: AsyncWorker, count: Callable[[float], None]
) -> None:
    """Fetch range after range of one waiting file after the other, while the state asks for it."""
    async for file in worker.track(ranges(waiting)):
        count(await asyncio.to_thread(file.fetch))


def ranges(files: Iterable[File]) -> Iterator[File]:
    """Yield each file as often as there is a range of it to fetch."""
    for file in files:
        while file.has < file.size:
            yield file
        file.finish()
