"""Random lifecycles for tests: sound ones, made so that `define` has nothing to complain of."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

States = list[Any]
Transitions = list[Any]


@st.composite
def lifecycles(draw: st.DrawFn) -> tuple[States, Transitions]:
    """Draw states and transitions of a sound lifecycle: a tree from home, and ways across.

    Every state is reached from home and can be ended; beyond that, anything goes: acting states,
    faults, deadlines, conditions, triggers of the worker alone.
    """
    count = draw(st.integers(1, 6))
    names = [f"S{number}" for number in range(count)]
    kinds = ["steady", *(draw(st.sampled_from(KINDS)) for _ in names[1:])]
    works = draw(st.sampled_from([i for i in range(count) if kinds[i] == "steady"]))
    transitions: Transitions = [{"trigger": "ready", "source": "INIT", "dest": "S0"}]
    options: list[dict[str, Any]] = []
    for number, (name, kind) in enumerate(zip(names, kinds, strict=True)):
        own: dict[str, Any] = {"name": name, "kind": kind}
        if number == works:
            own["worker"] = "works"
        if kind == "acting":
            home = {"trigger": f"done{number}", "source": name, "dest": "S0", "who": "worker"}
            transitions += [home, {"trigger": f"quit{number}", "source": name, "dest": "END"}]
            own |= {"timeout_s": draw(st.integers(1, 99)), "on_timeout": f"quit{number}"}
        else:
            transitions += _ways_out(draw, number, names)
            if draw(st.booleans()):
                own |= {"timeout_s": draw(st.integers(1, 99)), "on_timeout": "end"}
        if number:
            parent = draw(st.integers(0, number - 1))
            who = draw(st.sampled_from([["anyone"], ["anyone", "worker"]]))
            way = {"trigger": f"to{number}", "source": f"S{parent}", "dest": name, "who": who}
            transitions.append(way)
        options.append(own)
    return ["INIT", *options, "END"], _sound(transitions, kinds)


KINDS = ("steady", "steady", "acting", "fault")


def _ways_out(draw: st.DrawFn, number: int, names: list[str]) -> Transitions:
    """Draw the ways out of a state: always one to END, perhaps one back home."""
    ways: Transitions = [{"trigger": "end", "source": names[number], "dest": "END"}]
    if number and draw(st.booleans()):
        ways.append({"trigger": "back", "source": names[number], "dest": "S0"})
    return ways


def _sound(transitions: Transitions, kinds: list[str]) -> Transitions:
    """Take away what would give a word two meanings, or an acting state two ways on."""
    seen: set[tuple[str, str]] = set()
    kept: Transitions = []
    for way in transitions:
        pair = (way["source"], way["dest"])
        if "who" in way and way["who"] == "worker":
            kept.append(way)
        elif pair not in seen:
            seen.add(pair)
            kept.append(way)
    return kept
