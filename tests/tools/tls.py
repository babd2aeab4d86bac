"""TLS in front of a broker that has none: real certificates, real handshakes, of the tests' own."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Self

import trustme

TURN_S = 0.05
"""How soon a thread notices that all is over, in seconds."""
HANDSHAKE_S = 5.0


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
        self._listener = socket.socket()
        self._threads: list[threading.Thread] = []
        self._is_over = threading.Event()
        self.port = 0

    def __enter__(self) -> Self:
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self._listener.settimeout(TURN_S)
        self.port = self._listener.getsockname()[1]
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join(5)

    def _start(self, what: Callable[..., None], *args: socket.socket) -> None:
        thread = threading.Thread(target=what, args=args, name="tls-front", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with self._listener:
            while not self._is_over.is_set():
                with contextlib.suppress(TimeoutError):
                    self._start(self._serve, self._listener.accept()[0])

    def _serve(self, client: socket.socket) -> None:
        """Pass on what comes, both ways, until one side hangs up; a client may be refused."""
        with client, contextlib.suppress(OSError):  # also ssl.SSLError
            client.settimeout(HANDSHAKE_S)
            with (
                self._context.wrap_socket(client, server_side=True) as near,
                socket.create_connection(("127.0.0.1", self._upstream)) as far,
            ):
                near.settimeout(TURN_S)
                while not self._is_over.is_set() and _pass_on(near, far):
                    pass


def _pass_on(near: ssl.SSLSocket, far: socket.socket) -> bool:
    """Pass on what has come by now, or comes in a moment; tell whether both sides are there."""
    ready = [near] if near.pending() else select.select([near, far], [], [], TURN_S)[0]
    for one, other in ((near, far), (far, near)):
        if one in ready:
            try:
                data = one.recv(65536)
            except TimeoutError:  # a record without data
                continue
            if not data:
                return False
            other.sendall(data)
    return True
