"""Tests of `statusd.web.orders`: a command as a browser gives it, and why one is none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from statusd.web import orders
from statusd.web.http import Refused
from statusd.web.orders import WebOrder


def test_an_order_is_what_it_says() -> None:
    """Nothing is made of what isn't there."""
    assert orders.read(b'{"command": "pause"}') == WebOrder("pause", {}, {})
    whole = {
        "command": "start",
        "target": {"name": ["a", "b*"], "tag": ["gpu"], "state": ["READY"]},
        "args": {"n": 1.5, "on": True, "x": None},
        "dry_run": True,
        "durable": True,
        "expires_s": 60,
        "timeout_s": 0.5,
    }
    order = orders.read(json.dumps(whole).encode())

    assert order == WebOrder(
        "start",
        {"name": ("a", "b*"), "tag": ("gpu",), "state": ("READY",)},
        {"n": 1.5, "on": True, "x": None},
        is_dry=True,
        is_durable=True,
        expires_s=60,
        timeout_s=0.5,
    )
    orders.check(order, "ann@web")


BAD: dict[str, Any] = {
    "": "not valid JSON",
    "[]": "no JSON object",
    "nonsense": "not valid JSON",
    "\ud800": "UTF-8",
    '{"command": NaN}': "finite",
    '{"command": ' + "[" * 40 + "]" * 40 + "}": "nested",
    '{"command": "pause", "target": {"name": ["a"]}, "target": {}}': "a key stands twice",
    "{}": "command: it is missing",
    '{"command": ""}': "command: it is missing",
    '{"command": 1}': "command: it is no text",
    '{"command": null}': "command: it is no text",
    '{"command": "pause", "targets": {}}': "no such key",
    '{"command": "pause", "\\u001b[31m": 1}': "no such key",
    '{"command": "pause", "target": []}': "target: it is no object",
    '{"command": "pause", "target": {"names": ["a"]}}': "there are: name, tag, state",
    '{"command": "pause", "target": {"name": "a"}}': "no list",
    '{"command": "pause", "target": {"name": []}}': "no list",
    '{"command": "pause", "target": {"name": [1]}}': "no list",
    '{"command": "pause", "target": {"name": [["a"]]}}': "no list",
    '{"command": "pause", "dry_run": 1}': "dry_run: it is no true or false",
    '{"command": "pause", "durable": "yes"}': "durable",
    '{"command": "pause", "timeout_s": -1}': "timeout_s: it is 0 to 3600",
    '{"command": "pause", "timeout_s": 1e300}': "timeout_s: it is 0 to 3600",
    '{"command": "pause", "timeout_s": true}': "timeout_s: it is no number",
    '{"command": "pause", "expires_s": 1e300}': "expires_s",
    '{"command": "launch", "args": {}}': "launch",
    '{"command": "Launch", "expires_s": 1}': "launch",
    '{"command": "launch", "target": {"state": ["END"]}}': "launch",
}


@pytest.mark.parametrize("body", BAD)
def test_what_is_none_is_refused_with_its_reason(body: str) -> None:
    """In printable words, which name the key."""
    with pytest.raises(Refused) as caught:
        orders.read(body.encode("utf-8", "surrogatepass"))

    refusal = caught.value.refusal
    assert refusal.status == 400
    assert BAD[body] in refusal.reason
    assert refusal.reason.isascii()
    assert refusal.reason.isprintable()


@pytest.mark.parametrize(
    "said",
    [
        {"command": "two words"},
        {"command": "x" * 500},
        {"command": "pause\n"},
        {"command": "pause", "args": {"x": [1]}},
        {"command": "pause", "args": {"x": {"y": 1}}},
        {"command": "pause", "target": {"name": [""]}},
        {"command": "pause", "target": {"name": ["x" * 5000]}},
        {"command": "pause", "target": {"name": ["x" * 60] * 900}},
    ],
)
def test_what_no_unit_would_take_is_never_sent(said: dict[str, Any]) -> None:
    """By the rules of every other way to command: it is judged before anybody is asked."""
    order = orders.read(json.dumps(said).encode())
    with pytest.raises(Refused) as caught:
        orders.check(order, "ann@web")
    assert caught.value.refusal.status == 400


def test_an_order_to_begin_is_one_by_its_word() -> None:
    """In any case; nothing else is."""
    for word, is_launch in (("launch", True), ("LAUNCH", True), ("start", False)):
        assert orders.read(json.dumps({"command": word}).encode()).is_launch == is_launch
