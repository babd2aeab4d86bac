"""TLS in front of a broker that has none: real certificates, real handshakes, of the tests' own."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from datetime import datetime
from pathlib import Path
from typing import Self

import trustme


class TlsFront:
    """Ends TLS on a port of 127.0.0.1 and passes the bytes on to ``upstream``.

    Args:
        upstream: the broker's port.
        directory: gets ``ca.pem``, and ``client.pem`` with key and certificate of a client.
        host: whom the certificate names; anything but ``127.0.0.1`` is the wrong one.
        ask_client: refuse clients without a certificate of ours.
        not_after: when the certificate is over; None for in a long time.
    """

    def __init__(
        self,
        upstream: int,
        directory: Path,
        host: str = "127.0.0.1",
        *,
        ask_client: bool = False,
        not_after: datetime | None = None,
    ) -> None:
        authority = trustme.CA()
        self.ca_file, self.client_file = directory / "ca.pem", directory / "client.pem"
        authority.cert_pem.write_to_path(self.ca_file)
        client = authority.issue_cert("client@test.invalid")
        client.private_key_and_cert_chain_pem.write_to_path(self.client_file)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(host, not_after=not_after).configure_cert(self._context)
        if ask_client:
            authority.configure_trust(self._context)
            self._context.verify_mode = ssl.CERT_REQUIRED
        self._upstream = upstream
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tls-front")
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(5)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    async def _listen(self) -> asyncio.Server:
        # What a refused client leaves behind is its own affair, not a warning of the test.
        self._loop.set_exception_handler(lambda _, __: None)
        return await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)

    async def _stop(self) -> None:
        self._server.close()
        await asyncio.sleep(0)  # one that is cancelled before it began would leave its socket open
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0)  # what was closed is gone in the next turn

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._upstream)
        try:
            await asyncio.wait(
                [
                    asyncio.create_task(_pass(reader, back)),
                    asyncio.create_task(_pass(there, writer)),
                ],
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            back.transport.abort()
            writer.transport.abort()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
