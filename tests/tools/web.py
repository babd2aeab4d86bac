"""``statusd web`` under test: a real process, asked over real HTTP, and held to its contract.

Whatever a client of `Web.client` is answered is judged by the contract that the server ships, and
by what every answer has to say to a browser.
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

import httpx
import jsonschema

from tests.tools.broker import Broker
from tests.tools.output import Output
from tests.tools.ports import free_port, give_back
from tests.tools.processes import dying_with_us
from tests.tools.program import environment
from tests.tools.waiting import wait_until

CONTRACT: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "service/statusd/web/openapi.json").read_text(encoding="utf-8")
)
SAFE = {
    "content-security-policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
"""What each answer says to a browser."""
ROOT = "/statusd"
"""Where a proxy puts it, if one does."""
START_S = 20.0
"""So long the start may take where much else goes on."""
MESSAGE_S = 14.0
"""So long a message is waited for; what means nothing comes every 15 seconds."""
Message = tuple[str, str, Any]
"""Of the stream of events: kind, id, data."""


class Web:
    """``statusd web`` on a port of its own; it is started by the constructor.

    Args:
        url: of the broker.
        directory: for what it prints; made if missing.
        args: more arguments.
        env: more of the environment.
        token: the operators', from a file; empty for one that the server makes and prints.
        viewer: the viewers', from a file; empty for none.
        host: where it listens.
        descriptors: so many it may have; 0 for as many as we.
    """

    def __init__(
        self,
        url: str,
        *,
        directory: Path,
        args: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        token: str = "operator-of-tests-0123456789",
        viewer: str = "viewer-of-tests-0123456789",
        host: str = "127.0.0.1",
        descriptors: int = 0,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.token, self.viewer = token, viewer
        self.token_file, self.viewer_file = directory / "token", directory / "viewer"
        self.host, self.port = host, free_port()
        self._stdout, self._stderr = Output(directory, "web"), Output(directory, "web-log")
        where = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
        words = ["--listen", where, "--url", url, *args]
        for option, file, text in (
            ("--token-file", self.token_file, token),
            ("--viewer-token-file", self.viewer_file, viewer),
        ):
            if text:
                file.write_text(f"{text}\n", encoding="utf-8")
                words += [option, str(file)]
        limited = ["sh", "-c", f'ulimit -n {descriptors}; exec "$@"', "sh"] if descriptors else []
        with self._stdout.path.open("wb") as stdout, self._stderr.path.open("wb") as stderr:
            self.process = subprocess.Popen(
                dying_with_us([*limited, sys.executable, "-m", "statusd", "web", *words]),
                cwd=directory,
                env=environment(directory) | dict(env or {}),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        self._clients = ExitStack()
        self._wait(lambda: "/" in self.printed(), "the address")
        self.address = self.printed().split()[0]
        if not token:
            self.token = self.address.partition("?token=")[2]

    # ---- what it says --------------------------------------------------------------------------

    def printed(self) -> str:
        """Return its standard output."""
        return self._stdout.text()

    def log(self) -> str:
        """Return its standard error."""
        return self._stderr.text()

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Return the lines of the log of that event."""
        lines = [json.loads(line) for line in self.log().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event]

    # ---- asking it -----------------------------------------------------------------------------

    @property
    def base(self) -> str:
        """The address of the server, without a path."""
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else self._base

    @property
    def _base(self) -> str:
        return f"http://{self.host}:{self.port}"

    def client(self, token: str | None = None, **more: Any) -> httpx.Client:
        """Return one that is held to the contract; it follows no redirect.

        Args:
            token: that it shows; None for the operators', empty for none.
            more: arguments of `httpx.Client`.
        """
        shown = self.token if token is None else token
        headers = {**({"authorization": f"Bearer {shown}"} if shown else {})}
        headers |= more.pop("headers", {})
        hooks = more.pop("event_hooks", {"response": [judge]})
        return self._clients.enter_context(
            httpx.Client(
                base_url=self.base,
                headers=headers,
                event_hooks=hooks,
                timeout=20.0,
                verify=False,
                trust_env=False,
                **more,
            )
        )

    def connect(self, timeout_s: float = 10.0) -> socket.socket:
        """Return a connection on which nothing was said yet."""
        return socket.create_connection((self.host, self.port), timeout_s)

    def raw(self, *parts: str | bytes, timeout_s: float = 20.0) -> bytes:
        """Say this on a connection, byte by byte as it stands; return all that is answered.

        The last thing that is to be said is ``Connection: close``.
        """
        with self.connect(timeout_s) as connection:
            for part in parts:
                connection.sendall(part.encode("latin-1") if isinstance(part, str) else part)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def status(self, *lines: str, body: str = "") -> int:
        """Return the status that a request of these lines is answered by."""
        head = "".join(f"{line}\r\n" for line in (*lines, "Connection: close"))
        answer = self.raw(f"{head}\r\n{body}")
        found = re.match(rb"HTTP/1.1 (\d+) ", answer)
        assert found is not None, answer[:100]
        return int(found[1])

    def events(self, since: str = "", **headers: str) -> Stream:
        """Return the stream of events from there on."""
        query = f"?since={since}" if since else ""
        return Stream(self.client(), f"/api/events{query}", headers)

    def wait_up(self) -> None:
        """Wait until it has heard of the fleet: what is told from then on comes by its stream."""
        client = self.client()
        wait_until(lambda: client.get("/api/units").json()["broker"]["state"] == "up", 10, "it")

    # ---- what is done to it --------------------------------------------------------------------

    def wait_exit(self, timeout_s: float = 10.0) -> int:
        """Return its exit code, once it has ended."""
        return self.process.wait(timeout_s)

    def close(self) -> None:
        """Kill it; a second call does nothing."""
        self._clients.close()
        self.process.kill()
        self.process.wait(5)
        give_back(self.port)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _wait(self, look: Any, what: str) -> None:
        def looked() -> bool:
            code = self.process.poll()
            assert code is None, f"it ended with {code} before {what}: {self.log()[-3000:]}"
            return bool(look())

        wait_until(looked, START_S, what)


class Stream:
    """A stream of events that is being read.

    Args:
        client: whose it is; path: where; headers: what is asked with.
    """

    def __init__(self, client: httpx.Client, path: str, headers: Mapping[str, str]) -> None:
        sent = {key.replace("_", "-"): value for key, value in headers.items()}
        self._open = ExitStack()
        self.answer = self._open.enter_context(client.stream("GET", path, headers=sent))
        self._lines = self.answer.iter_lines()

    def messages(self) -> Iterator[Message]:
        """Yield what comes."""
        fields: dict[str, str] = {}
        deadline = time.monotonic() + MESSAGE_S
        for line in self._lines:
            key, _, value = line.partition(": ")
            if line:
                fields[key] = value
                continue
            if "id" in fields:
                yield fields["event"], fields["id"], json.loads(fields["data"])
                deadline = time.monotonic() + MESSAGE_S
            assert time.monotonic() < deadline, "nothing is told"
            fields = {}

    def until(self, kind: str, **wanted: Any) -> list[Message]:
        """Return what came up to the first message of that kind with those values, and that."""
        found: list[Message] = []
        deadline = time.monotonic() + MESSAGE_S
        for message in self.messages():
            found.append(message)
            if message[0] == kind and wanted.items() <= message[2].items():
                return found
            if time.monotonic() > deadline:
                break
        raise AssertionError(f"there was no {kind} {wanted} among: {found}"[:5000])

    def close(self) -> None:
        """Hang up."""
        self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def lines_of(client: httpx.Client, method: str, path: str, **more: Any) -> Iterator[Iterator[Any]]:
    """Give what an answer of JSON lines tells, each judged by the contract, as it comes."""
    with client.stream(method, path, **more) as answer:
        assert answer.status_code == 200, answer.read()
        schema = schema_of(method, answer.url.path, 200, "application/x-ndjson")
        told = (json.loads(line) for line in answer.iter_lines() if line)
        yield (judged(schema, one) for one in told)


def sent(broker: Broker) -> int:
    """Return how many messages and durable commands the broker has taken since it began."""
    stats = broker.client().info("commandstats")
    return sum(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("publish", "xadd"))


# ---- the contract ------------------------------------------------------------------------------


def judge(answer: httpx.Response) -> None:
    """See that an answer keeps the contract, as far as that can be told before it is read."""
    request, kind = answer.request, answer.headers.get("content-type", "").partition(";")[0]
    for key, value in SAFE.items():
        assert answer.headers.get_list(key) == [value], (request.url, key)
    if kind == "application/json" and request.method != "HEAD":
        path = request.url.path.removeprefix(ROOT)
        schema = schema_of(request.method, path, answer.status_code, kind)
        assert answer.headers["cache-control"] == "no-store"
        answer.read()
        judged(schema, answer.json())


def schema_of(method: str, path: str, status: int, kind: str) -> dict[str, Any]:
    """Return the schema of an answer.

    Raises:
        AssertionError: the contract knows no such one.
    """
    operation = operation_of(method, path)
    if operation is None:
        return {"$ref": "#/components/schemas/Refusal"}  # there is nothing at that address
    answers = operation["responses"]
    assert str(status) in answers, f"{method} {path}: the contract has no {status}"
    found = answers[str(status)]
    if "$ref" in found:
        found = CONTRACT["components"]["responses"][found["$ref"].rpartition("/")[2]]
    schema: dict[str, Any] = found["content"][kind]["schema"]
    return schema


def operation_of(method: str, path: str) -> dict[str, Any] | None:
    """Return what the contract says of a request; None if there is no such one."""
    for known, item in CONTRACT["paths"].items():
        pattern = re.sub(r"\{\w+\}", "[^/]+", known)
        verb = "get" if method == "HEAD" else method.lower()
        if re.fullmatch(pattern, path) and verb in item:
            found: dict[str, Any] = item[verb]
            return found
    return None


def judged(schema: Mapping[str, Any], value: Any) -> Any:
    """Return ``value``, which fits the schema.

    Raises:
        jsonschema.ValidationError: it doesn't.
    """
    whole = {**schema, "components": CONTRACT["components"]}
    jsonschema.Draft202012Validator(whole).validate(value)
    return value


# ---- units that nobody runs --------------------------------------------------------------------


class Ghosts:
    """Units that exist on the broker alone: what a server shows of them is what stands there.

    Args:
        broker: where they are.
    """

    boot = 1_795_843_591_594

    def __init__(self, broker: Broker) -> None:
        self._client = broker.client()

    def write(self, *names: str, **said: Any) -> None:
        """Write their documents; they are there, and silent."""
        pipeline = self._client.pipeline(transaction=False)
        entry = json.dumps({"boot": self.boot, "left": False, "seen": "2026-11-28T05:00:00.000Z"})
        for name in names:
            document = {"name": name, "boot": self.boot, "state": "RUNNING", "tags": [], **said}
            pipeline.set(f"statusd:status:{{{name}}}", json.dumps(document))
            pipeline.hset("statusd:roster", name, entry)
        pipeline.execute()

    def tell(self, name: str, seq: int, **said: Any) -> None:
        """Write an event to a history."""
        event_id = f"{self.boot}-{seq}"
        event = {
            **{"event": event_id, "name": name, "boot": self.boot, "seq": seq, "run": 1},
            **{"old": "READY", "new": "RUNNING", "trigger": "start", "source": "redis:mychannel"},
            **{"at": "2026-11-28T05:00:00.000Z"},
            **said,
        }
        key = f"statusd:history:{{{name}}}"
        self._client.xadd(key, {"event": json.dumps(event)}, id=event_id)

    def put(self, key: str, value: str | bytes) -> None:
        """Write whatever there is to be written."""
        self._client.set(key, value)

    def enter(self, name: str, entry: str | bytes) -> None:
        """Write an entry of the roster."""
        self._client.hset("statusd:roster", name, entry)

    def strike(self, *names: str) -> None:
        """Strike them off."""
        self._client.hdel("statusd:roster", *names)
        self._client.delete(*(f"statusd:status:{{{name}}}" for name in names))
