"""Tests of what `benchmarks` makes of its figures: goals, intervals, judgements, pictures."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.compare import interval, ratios_of
from benchmarks.judgement import Sample, judge
from benchmarks.machine import DISTURBED, NORMAL, Others
from benchmarks.peers.environments import REQUIREMENTS, pinned
from benchmarks.peers.page import ahead
from benchmarks.performance import objection, written
from benchmarks.plot import svg
from benchmarks.profile import shares
from benchmarks.results import Results, joined, merged
from benchmarks.rounds import Latencies
from benchmarks.soak import Mix
from benchmarks.table import Goal, Of, Row, markdown, summary

LEVEL = 0.95


def row(goal: Goal | None, ours: Sequence[float] = (4.0, 5.0, 9.0)) -> Row:
    """Return a row of three rounds, whose baseline's median is 10."""
    return Row("m", "us", list(ours), [9.0, 10.0, 20.0], "S", goal, [2.0, 2.5, 3.0])


@pytest.mark.parametrize(
    ("goal", "verdict"),
    [
        (Goal(0.5), "met, 0% to spare"),
        (Goal(1.0), "met, 50% to spare"),
        (Goal(0.4), "MISSED by 25%"),
        (Goal(4.0, Of.VALUE), "MISSED by 25%"),
        (Goal(10.0, Of.VALUE), "met, 50% to spare"),
        (None, "-"),
    ],
)
def test_a_goal_is_held_against_the_medians(goal: Goal | None, verdict: str) -> None:
    """And the row tells by how much it is met or missed."""
    assert row(goal).verdict == verdict


def test_a_goal_for_what_comes_on_top() -> None:
    """Of two medians, the difference is limited."""
    over = row(Goal(3.0, Of.EXCESS), ours=[13.5])
    assert not over.met
    assert row(Goal(3.5, Of.EXCESS), ours=[13.5]).met


def test_the_table_shows_the_limit_and_counts_goals() -> None:
    """A line for each row, and how far the least possible program is away."""
    rows = [row(Goal(0.4)), row(Goal(1.0)), row(None)]
    assert "2.00 x" in markdown(rows).splitlines()[2]
    assert summary(rows) == "1 of 2 goals are met."


def test_results_outlive_the_file(tmp_path: Path) -> None:
    """What was written is read again, every round of it."""
    results = Results({"date": "today"}, [row(Goal(1.0)), row(None)], {"latency: S": [[1.0, 2.0]]})
    results.write(tmp_path / "results.json")
    assert Results.read(tmp_path / "results.json") == results


def test_pieces_of_a_run_become_one() -> None:
    """With all rows and curves, and each with its own date."""
    one = Results({"date": "1", "rounds": "7, 9 s"}, [row(None)], {"a": [[1.0]]})
    two = Results({"date": "2", "rounds": "7, 5 s"}, [row(None)], {"b": [[2.0]]})
    both = merged([one, two])
    assert both.header == {"date": "1; 2", "rounds": "7, 9 s; 7, 5 s"}
    assert len(both.rows) == 2
    assert both.distributions.keys() == {"a", "b"}


def test_pieces_of_two_machines_stay_apart() -> None:
    """A table of figures that can't be compared is refused."""
    with pytest.raises(ValueError, match=r"python is 3\.11 and 3\.12"):
        joined([{"python": "3.11"}, {"python": "3.12"}])


def test_a_disturbed_run_says_so() -> None:
    """When others use more of the processors than a run can bear, whoever they are."""
    others = Others()
    subprocess.run([sys.executable, "-c", "for _ in range(10**6): pass"], check=True)
    busy_s, ours_s, idle_s = others._before
    assert "% of the processors" in str(others)
    others._before = (busy_s - 1000, ours_s, idle_s - 1000)
    assert str(others) == f"50% of the processors{DISTURBED}"


def test_every_latency_is_kept() -> None:
    """Beside the two quantiles."""
    found = Latencies([float(n) for n in range(100, 0, -1)])
    assert found == {"p50": 51.0, "p99": 100.0}
    assert found.all[0] == 1.0


# ---- comparisons -------------------------------------------------------------------------------


def test_a_block_gives_one_ratio() -> None:
    """Whatever drifts along a block hits both sides."""
    turns = [("A", 1.0), ("B", 4.0), ("B", 4.0), ("A", 16.0)]
    assert ratios_of([*turns, *turns]) == pytest.approx([1.0, 1.0])


@pytest.mark.nightly  # by chance, thousands of times
def test_the_interval_covers_what_it_promises() -> None:
    """Where nothing differs, 19 runs of 20 say so, however long the tails of the noise."""
    chance = random.Random(7)
    runs = [
        interval([chance.lognormvariate(0, 0.1) for _ in range(10)], LEVEL, chance, 300)
        for _ in range(200)
    ]
    covered = sum(run.low <= 1 <= run.high for run in runs) / len(runs)
    assert 0.92 <= covered <= 0.99
    assert sum(run.verdict == "no difference" for run in runs) == round(covered * len(runs))


def test_a_real_difference_is_seen() -> None:
    """A side that takes a tenth longer, in the midst of noise of a fiftieth."""
    chance = random.Random(7)
    found = interval([1.1 * chance.lognormvariate(0, 0.02) for _ in range(10)], LEVEL, chance)
    assert found.low > 1.05
    assert "MORE" in found.verdict


# ---- soak --------------------------------------------------------------------------------------


def samples(growth_kib: float, descriptors: int = 0) -> list[Sample]:
    """Return the samples of a run with some noise."""
    chance = random.Random(3)
    return [
        Sample(
            messages=number * 10_000,
            at_s=number * 0.5,
            pss_kib=round(40_000 + growth_kib * number + chance.gauss(0, 20)),
            anon_kib=round(30_000 + growth_kib * number + chance.gauss(0, 20)),
            blocks=290_000 + round(chance.gauss(0, 300)),
            descriptors=18 + descriptors * (number > 150),
            threads=2,
        )
        for number in range(1, 201)
    ]


def test_a_daemon_that_stays_as_it_is_passes() -> None:
    """Noise is no growth."""
    said, wrong = judge(samples(0))
    assert wrong == []
    assert any("RssAnon" in text for text in said)


@pytest.mark.parametrize(("growth_kib", "descriptors"), [(10.0, 0), (0.0, 2)])
def test_a_daemon_that_grows_fails(growth_kib: float, descriptors: int) -> None:
    """By a byte a message, or by two descriptors."""
    assert judge(samples(growth_kib, descriptors))[1]


def test_what_lives_must_not_grow_however_small_it_is() -> None:
    """One allocation in a hundred messages is a leak, though no memory tells of it yet."""
    leaking = [replace(s, blocks=s.blocks + s.messages // 100) for s in samples(0)]
    assert "allocations that live" in judge(leaking)[1][0]


def test_a_short_soak_proves_nothing() -> None:
    """It fails instead of passing by default."""
    assert "too short" in judge(samples(0)[:30])[1][0]


def test_the_mix_is_the_same_for_a_seed() -> None:
    """And it has all kinds in it, and says where the unit must be."""
    one, two = Mix(random.Random(1)), Mix(random.Random(1))
    block = one.block(1000)
    assert block == two.block(1000)
    assert one.state == two.state
    assert {b"pause", b"resume"} <= set(block)
    assert any(b'"id": "soak-1"' in text for text in block)


# ---- what is shown -----------------------------------------------------------------------------


def test_the_picture_is_a_picture() -> None:
    """Well-formed, with a curve for each contestant of a panel."""
    curves = {"latency: S": [[50.0, 60.0], [55.0]], "latency: <statusd>": [[40.0, 400.0]]}
    tree = ElementTree.fromstring(svg({**curves, "flood: not shown": [[1.0]]}))
    assert len(tree.findall("{*}polyline")) == 2
    assert "<statusd>" in [text.text for text in tree.findall("{*}text")]


def test_only_what_stands_between_markers_is_written() -> None:
    """And markers that are missing are a mistake."""
    text = "before\n<!-- goals -->\nold\n<!-- /goals -->\nafter\n"
    new = written(text, "goals", "new \\1")
    assert new == "before\n<!-- goals -->\n\nnew \\1\n\n<!-- /goals -->\nafter\n"
    assert written(new, "goals", "new \\1") == new
    with pytest.raises(ValueError, match="no <!-- peers -->"):
        written(text, "peers", "new")


def test_a_function_has_the_share_of_what_it_calls() -> None:
    """Once for each sample, however often it calls itself."""
    stacks = ["main (a.py:1);work (b.py:7);work (b.py:9) 3", "main (a.py:2) 1"]
    assert shares(stacks) == [("main (a.py)", 0.25, 1.0), ("work (b.py)", 0.75, 0.75)]


def test_the_best_peer_is_what_counts() -> None:
    """Of those that reply; in each figure another one may be the best."""
    replies = {"rq": 1.0, "circus": 4.0, "celery": 9.0, "statusd": 2.0, "statusd, ping": 5.0}
    samples = {name: {"p50": [value]} for name, value in replies.items()}
    samples["celery"]["pss"], samples["statusd"]["pss"] = [10.0], [20.0]
    assert ahead(samples).splitlines() == [
        "- statusd, command -> reply p50, us: ahead of circus, the best of the peers: 0.50 x",
        "- statusd, ping, command -> reply p50, us: BEHIND circus, the best of the peers: 1.25 x",
        "- statusd, PSS, MiB: BEHIND celery, the best of the peers: 2.00 x",
    ]


def test_every_peer_is_pinned() -> None:
    """So that everybody measures the same."""
    assert all(pinned(requirement) for requirement in REQUIREMENTS.values())


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ([{"scheduling": NORMAL, "other processes": "2% of the processors"}], ""),
        ([{"scheduling": NORMAL, "other processes": f"9%{DISTURBED}"}], f"9%{DISTURBED}"),
        ([{"scheduling": NORMAL}, {"scheduling": "SCHED_RR 5"}], "SCHED_RR 5"),
    ],
)
def test_a_run_that_is_not_to_be_quoted_is_not_written_down(
    tmp_path: Path, headers: list[dict[str, str]], why: str
) -> None:
    """One of statusd or of its peers: disturbed by others, or before them all."""
    for content in ({"headers": headers}, {"header": headers[-1]}):
        file = tmp_path / "run.json"
        file.write_text(json.dumps(content))
        assert objection(file) == why
