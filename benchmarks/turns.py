"""What one statement costs in a tight loop; standard library only, runs in any process."""

from __future__ import annotations

from timeit import Timer

TURNS = 200_000
REPEATS = 5


def picoseconds(statement: str, **names: object) -> int:
    """Return the time of one ``statement`` without the loop around it, in picoseconds.

    Args:
        statement: what to measure.
        names: local variables that it uses.
    """
    setup = "; ".join(f"{name} = given[{name!r}]" for name in names)
    taken_s, empty_s = (
        min(Timer(turn, setup, globals={"given": names}).repeat(REPEATS, TURNS))
        for turn in (statement, "pass")
    )
    return max(0, round((taken_s - empty_s) / TURNS * 1e12))
