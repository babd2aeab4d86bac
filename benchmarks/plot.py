"""Latencies as a picture: for each contestant the share that was faster, on a logarithmic axis."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from xml.sax.saxutils import escape

PANELS = {
    "latency": "PUBLISH \N{RIGHTWARDS ARROW} the worker has acted",
    "verdicts": "command \N{RIGHTWARDS ARROW} final verdict at its sender",
}
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#6b6b6b", "#e69f00")
"""Told apart by most colour-blind eyes as well."""
WIDTH, HEIGHT, LEFT, TOP, GAP = 620, 260, 60, 40, 90
POINTS = 200
LEVELS = (0.5, 0.9, 0.99)


def svg(distributions: Mapping[str, Sequence[Sequence[float]]]) -> str:
    """Return the picture.

    Args:
        distributions: "topic: contestant" -> the latencies of each round, in microseconds.
    """
    panels = {
        title: {
            name.partition(": ")[2]: sorted(value for run in runs for value in run)
            for name, runs in distributions.items()
            if name.startswith(f"{topic}: ")
        }
        for topic, title in PANELS.items()
    }
    drawn = [(title, curves) for title, curves in panels.items() if curves]
    height = TOP + len(drawn) * (HEIGHT + GAP)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 170} {height}"'
        ' font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for number, (title, curves) in enumerate(drawn):
        lines += _panel(title, curves, TOP + number * (HEIGHT + GAP))
    return "\n".join([*lines, "</svg>\n"])


def _panel(title: str, curves: Mapping[str, Sequence[float]], top: float) -> Iterator[str]:
    low = min(values[0] for values in curves.values())
    high = max(values[len(values) * 995 // 1000] for values in curves.values())
    first, last = math.log10(low), math.log10(high)

    def x(value: float) -> float:
        share = (math.log10(value) - first) / (last - first or 1)
        return LEFT + WIDTH * min(1.0, share)

    bottom = top + HEIGHT
    yield f'<text x="{LEFT}" y="{top - 12}" font-size="14">{escape(title)}</text>'
    yield from _grid(x, low, high, top)
    yield f'<text x="{LEFT + WIDTH / 2}" y="{bottom + 36}" text-anchor="middle">µs</text>'
    for number, (name, values) in enumerate(curves.items()):
        colour = COLOURS[number % len(COLOURS)]
        points = " ".join(
            f"{x(values[min(len(values) - 1, len(values) * at // POINTS)]):.1f},"
            f"{bottom - HEIGHT * at / POINTS:.1f}"
            for at in range(POINTS + 1)
        )
        yield f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
        row = top + 14 + 18 * number
        yield f'<text x="{LEFT + WIDTH + 12}" y="{row}" fill="{colour}">{escape(name)}</text>'


def _grid(x: Callable[[float], float], low: float, high: float, top: float) -> Iterator[str]:
    line = '<path d="M{:.1f},{:.1f}L{:.1f},{:.1f}" stroke="#ddd"/>'
    for decade in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1):
        for factor in (1, 2, 5):
            value = factor * 10.0**decade
            if low <= value <= high:
                yield line.format(x(value), top, x(value), top + HEIGHT)
                yield (
                    f'<text x="{x(value):.1f}" y="{top + HEIGHT + 18}" text-anchor="middle">'
                    f"{value:g}</text>"
                )
    for level in (0.0, *LEVELS, 1.0):
        y = top + HEIGHT * (1 - level)
        yield line.format(LEFT, y, LEFT + WIDTH, y)
        if level != 1.0:  # it would stand on that of 99 %
            yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{level:.0%}</text>'
