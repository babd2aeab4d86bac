"""Tests of `tests.tools.proxy`, with an echoing server behind it."""

import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.tools import Broker, Proxy, available_brokers, free_port, wait_until

pytestmark = pytest.mark.nightly  # it tests what tests are made with


class Echo(socketserver.BaseRequestHandler):
    """Says each chunk again, until the end or the word ``bye``."""

    said_bye = threading.Event()

    def handle(self) -> None:
        """Serve one connection."""
        while (data := self.request.recv(65536)) and data != b"bye":
            self.request.sendall(data)
        self.said_bye.set()


class Server(socketserver.ThreadingTCPServer):
    """Waits for its threads when it is closed."""

    daemon_threads = False
    block_on_close = True


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """A proxy before an echoing server."""
    with Server(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        with Proxy(server.server_address[1]) as proxy:
            yield proxy
        server.shutdown()
        thread.join(5.0)


@pytest.fixture
def client(proxy: Proxy) -> Iterator[socket.socket]:
    """A connection through the proxy that has worked."""
    with connect(proxy) as sock:
        assert ask(sock, b"hello") == b"hello"
        yield sock


def connect(proxy: Proxy) -> socket.socket:
    """Return a new connection to the proxy."""
    return socket.create_connection(("127.0.0.1", proxy.port), 2.0)


def ask(sock: socket.socket, data: bytes) -> bytes:
    """Send and return the next chunk that comes back."""
    sock.sendall(data)
    return sock.recv(65536)


def hears_nothing(sock: socket.socket, timeout_s: float = 0.1) -> bool:
    """Tell whether neither data nor an end comes for a while."""
    sock.settimeout(timeout_s)
    try:
        sock.recv(65536)
    except TimeoutError:
        return True
    finally:
        sock.settimeout(2.0)
    return False


def wait_for_another(proxy: Proxy) -> None:
    """Wait until one more connection has been accepted."""
    seen = proxy.accepted
    wait_until(lambda: proxy.accepted > seen, 5.0, "a connection")


def test_it_carries_both_ways_and_counts(proxy: Proxy, client: socket.socket) -> None:
    """A second connection works beside the first; what is closed is counted out."""
    with connect(proxy) as second:
        assert ask(second, b"x" * 1000) == b"x" * 1000
        assert ask(client, b"again") == b"again"
        assert (proxy.connections, proxy.accepted) == (2, 2)

    wait_until(lambda: proxy.connections == 1, 5.0, "one connection to be gone")
    assert proxy.accepted == 2


def test_much_is_carried_whole(proxy: Proxy, client: socket.socket) -> None:
    """Five megabytes come back in order."""
    data = bytes(range(256)) * 20_000
    sender = threading.Thread(target=client.sendall, args=(data,))
    sender.start()

    received = b""
    while len(received) < len(data):
        received += client.recv(1 << 20)

    sender.join(5.0)
    assert received == data


def test_the_end_of_the_server_is_passed_on(proxy: Proxy, client: socket.socket) -> None:
    """The client sees an orderly end."""
    assert ask(client, b"bye") == b""
    wait_until(lambda: proxy.connections == 0, 5.0, "the connection to be gone")


def test_swallowing_takes_all_and_gives_nothing(proxy: Proxy, client: socket.socket) -> None:
    """The client can send, but hears nothing, not even that the server has left."""
    proxy.swallow()

    client.sendall(b"lost")

    assert hears_nothing(client)
    with connect(proxy) as late:
        late.sendall(b"lost too")
        assert hears_nothing(late)
        assert proxy.connections == 2


def test_a_stream_never_gets_a_hole(proxy: Proxy, client: socket.socket) -> None:
    """What lost something stays deaf; what lost nothing, and what is new, works again."""
    with connect(proxy) as quiet:
        assert ask(quiet, b"one") == b"one"
        proxy.swallow()
        client.sendall(b"lost")
        assert hears_nothing(client)

        proxy.pass_()

        assert ask(quiet, b"two") == b"two"
        client.sendall(b"more")
        assert hears_nothing(client)
        with connect(proxy) as late:
            assert ask(late, b"three") == b"three"


def test_swallowing_hides_the_end_of_the_server(proxy: Proxy, client: socket.socket) -> None:
    """An end that comes while swallowing is lost as well."""
    Echo.said_bye.clear()
    proxy.delay(0.2)
    client.sendall(b"bye")
    wait_until(Echo.said_bye.is_set, 5.0, "the server to leave")

    proxy.swallow()

    assert hears_nothing(client, 0.4)
    assert proxy.connections == 1
    client.close()
    wait_until(lambda: proxy.connections == 0, 5.0, "the connection to be gone")


def test_a_cut_resets_and_refuses(proxy: Proxy, client: socket.socket) -> None:
    """Clients see a reset, new ones are refused, and the same port works after `pass_`."""
    proxy.cut()

    assert proxy.connections == 0
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            connect(proxy)
    proxy.pass_()
    with connect(proxy) as late:
        assert ask(late, b"back") == b"back"


def test_a_cut_can_be_an_orderly_end(proxy: Proxy, client: socket.socket) -> None:
    """With ``reset=False`` clients see the end of the stream; it can be done again and again."""
    proxy.cut(reset=False)

    assert client.recv(1) == b""
    for _ in range(3):
        proxy.pass_()
        with connect(proxy) as late:
            assert ask(late, b"back") == b"back"
            proxy.cut(reset=False)
            assert late.recv(1) == b""


def test_cuts_in_a_storm_of_connections_leave_nothing(proxy: Proxy) -> None:
    """Whatever a connection was doing when it was cut, it is closed."""
    over = threading.Event()

    def knock() -> None:
        while not over.is_set():
            with suppress(OSError), connect(proxy) as sock:
                ask(sock, b"anybody?")

    clients = [threading.Thread(target=knock) for _ in range(4)]
    for client in clients:
        client.start()
    for turn in range(50):
        proxy.pass_()
        wait_for_another(proxy)
        proxy.cut(reset=turn % 2 == 0)
        assert proxy.connections == 0
    over.set()
    for client in clients:
        client.join(5.0)

    assert not any(client.is_alive() for client in clients)


def test_half_a_chunk_then_a_stall(proxy: Proxy, client: socket.socket) -> None:
    """The first bytes come, the rest only when the mode is over, and nothing is lost."""
    proxy.half(3)

    assert ask(client, b"abcdef") == b"abc"
    client.sendall(b"ghi")
    assert hears_nothing(client)

    proxy.pass_()

    received = b""
    while len(received) < 6:
        received += client.recv(100)
    assert received == b"defghi"
    assert ask(client, b"whole") == b"whole"


def test_a_chunk_is_split(proxy: Proxy, client: socket.socket) -> None:
    """Each chunk comes in two segments with the gap between them; a single byte can't."""
    proxy.split(0.15)

    began = time.monotonic()
    assert ask(client, b"abcd") == b"ab"
    assert client.recv(100) == b"cd"
    assert 0.15 <= time.monotonic() - began < 2.0
    assert ask(client, b"x") == b"x"


def test_a_delay_is_for_each_chunk_and_keeps_the_order(proxy: Proxy, client: socket.socket) -> None:
    """Both ways cost the delay once, however many chunks are under way."""
    proxy.delay(0.2)

    began = time.monotonic()
    for letter in (b"a", b"b", b"c", b"d"):
        client.sendall(letter)
        assert hears_nothing(client, 0.02)
    received = b""
    while len(received) < 4:
        received += client.recv(100)

    assert received == b"abcd"
    assert 0.4 <= time.monotonic() - began < 0.8


def test_a_server_that_is_not_there_resets() -> None:
    """Behind a proxy a refusal can only come after accepting."""
    with Proxy(free_port()) as lonely:
        with pytest.raises(ConnectionResetError), connect(lonely) as sock:
            ask(sock, b"anybody?")
        wait_until(lambda: lonely.connections == 0, 5.0, "the connection to be gone")
        assert lonely.accepted == 1


def test_nothing_is_left() -> None:
    """Closed in any mode, with open connections, no thread remains and the port is free."""
    before = threading.active_count()
    with Broker(available_brokers()["valkey"]) as broker:
        for mode in ("pass_", "swallow", "cut"):
            with Proxy(broker.port) as proxy, connect(proxy) as sock:
                assert ask(sock, b"PING\r\n") == b"+PONG\r\n"
                getattr(proxy, mode)()
                proxy.close()
            with pytest.raises(ConnectionRefusedError):
                connect(proxy)
    Proxy(1).close()

    assert threading.active_count() == before
