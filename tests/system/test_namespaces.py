"""Several namespaces on one broker, and units that hear everything."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import ExitStack

import pytest

from tests.conftest import BROKERS, Run
from tests.tools import Broker, Journal, wait_until

NAMESPACES = ("statusd", "lab.two")


@pytest.mark.fault("J22")
def test_units_that_hear_everything_do_not_answer_each_other(run: Run) -> None:
    """Neither canaries nor answers, of these namespaces or a third; nor what the server says."""
    with ExitStack() as stack:
        broker = stack.enter_context(
            Broker(BROKERS["valkey"], conf={"notify-keyspace-events": "KEA"})
        )
        journals = [stack.enter_context(Journal(broker.client(), ns)) for ns in NAMESPACES]
        hears_all = {"channels": ["*", "lab*"]}
        for number, namespace in enumerate(NAMESPACES):
            redis = {"url": broker.url, "namespace": namespace}
            unit = run("tests.workers:until_end", "", name=f"u{number}", redis=redis,
                       control=hears_all)  # fmt: skip
            unit.wait_logged("link.up", link="hears")
            unit.wait_state("READY")
        client = broker.client()
        listening = client.pubsub()  # type: ignore[no-untyped-call]  # redis-py has no types for it
        listening.psubscribe("*:canary:*")
        sung: Counter[bytes] = Counter()

        def have_sung() -> bool:
            message = listening.get_message(ignore_subscribe_messages=True, timeout=0.1)
            sung.update([message["channel"]] if message else [])
            return sum(count >= 3 for count in sung.values()) == len(NAMESPACES)

        client.publish("third:canary:{x}", "7-1")
        client.publish("third:verdicts", f'{{"verdict":"done","reason":"{"x" * 20_000}"}}')
        client.publish("__sentinel__:hello", "127.0.0.1,26379,0,mymaster")
        wait_until(have_sung, 15, "three canaries of each")
        listening.close()
        client.publish("any", json.dumps({"command": "ping", "id": "last"}))
        for journal in journals:  # what came before has been answered by then, if at all
            wait_until(journal.verdicts, 15, "the answer to what was a command")

        assert [[v.get("id") for v in j.verdicts()] for j in journals] == [["last"]] * 2
