"""Tests of `statusd.core.suggestions`: a slip is found, and the opposite is never offered."""

from __future__ import annotations

import pytest

from statusd.core.suggestions import is_opposite, meant, nearest

WORDS = ("start", "pause", "resume", "end", "reset")
OPPOSITES = [
    *(("pause", "unpause"), ("pause", "un-pause"), ("enable", "disable"), ("end", "no_end")),
    *(("connect", "disconnect"), ("activate", "deactivate"), ("start", "stop"), ("up", "down")),
    *(("startup", "shutdown"), ("power_on", "power_off"), ("attach", "detach"), ("load", "unload")),
    *(("encrypt", "decrypt"), ("import", "export"), ("valid", "invalid"), ("input", "output")),
    *(("increase", "decrease"), ("max_s", "min_s"), ("stop", "nonstop"), ("open", "close")),
]


def test_the_nearest_word_is_found() -> None:
    """Whatever the case, in its own spelling; or none at all."""
    words = {"strat": "start", "PUASE": "pause", "running": "RUNNING", "xyzzy": "", "": ""}

    found = {word: nearest(word, ("start", "pause", "RUNNING", "end")) for word in words}

    assert found == words


@pytest.mark.fault("J16")
@pytest.mark.parametrize(("one", "other"), OPPOSITES)
def test_the_opposite_is_no_suggestion(one: str, other: str) -> None:
    """In neither direction, whoever asks: for a word, a state, a key (J16)."""
    assert is_opposite(one, other)
    assert is_opposite(other, one)
    assert nearest(one, (other,)) == nearest(other.upper(), (one,)) == ""


@pytest.mark.fault("J16")
def test_a_slip_of_the_opposite_is_the_opposite_still() -> None:
    """It can have been meant for nothing else, also not for what is a little alike (J16)."""
    assert nearest("unstart", ("start", "status")) == nearest("unresume", ("resume", "reset")) == ""
    slips = ["unpuase", "unpaus", "un_pause", "UNPAUSE", "disconect", "deactivat"]

    assert [nearest(slip, ("pause", "connect", "activate")) for slip in slips] == [""] * 6


@pytest.mark.fault("J16")
def test_a_name_that_begins_like_a_negation_is_found() -> None:
    """The letters alone are no negation (J16)."""
    slips = {
        **{"iput": "input", "imput": "input", "nmae": "name", "note": "node", "unts": "units"},
        **{
            "direktory": "directory",
            "inhert": "inherit",
            "defalt": "default",
            "disabel": "disable",
        },
    }

    found = {slip: nearest(slip, tuple(dict.fromkeys(slips.values()))) for slip in slips}

    assert found == slips


@pytest.mark.fault("J16")
def test_what_others_call_a_word_suggests_ours() -> None:
    """Only a word that the lifecycle has, in its own spelling (J16)."""
    others = {"unpause": "resume", "Cont": "resume", "stop": "end", "quit": "end", "hold": "pause"}
    others |= {"un-pause": "resume", "UN_PAUSE": "resume", "abort": "end"}

    assert {other: meant(other, WORDS) for other in others} == others
    assert meant("unpause", ("start", "pause", "END")) == ""
    assert meant("shutdown", ("start", "END")) == "END"
    assert meant("quit", ("END", "end")) == meant("quit", ("end", "END")) == "end"
    assert nearest("edn", ("END", "end")) == nearest("edn", ("end", "END")) == "end"
    assert meant("puase", WORDS) == "pause"
