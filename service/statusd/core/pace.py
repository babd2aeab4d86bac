"""How fast the work goes, and how long it will take: estimated from steps that were seen.

Pure: whoever looks says what time it is. Rules of this file: only the time counts in which there
was work to do, so a pause changes nothing; what begins anew (another run, another thing that is
counted, a step that goes back) is estimated anew; who knows nothing says so.

The rate is the median of the slopes between all pairs of the last `MOST` points (Theil and Sen):
over `WINDOW_S`, or over the last steps if these take longer. A mean would take minutes to forget a
jump (a thousand images that were there already) or a wait for the disk. The median of the single
steps would never know of what comes now and then but always (each tenth step is a calibration); of
the pairs, those that are far apart have it in them.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

MOST = 16
"""So many points are kept: 120 slopes are sorted in 20 microseconds."""
WINDOW_S = 300.0
"""Over how much time of work they are spread where steps are quick."""
GAP_S = 3.0
"""So far apart they are at first, in seconds; later farther."""
MIDDLE = 0.45
"""Which of the slopes is taken: a jump in the very middle has 53 of 100 cross it, and they are the
steepest."""
APART_S = 1.0
"""The least time between two points that make a slope: of less, a tick would be a large part."""
LEAST_S = 5.0
"""Nothing is estimated from less than this."""
STILL_S = 30.0
"""Who makes no step for so long, and for three times as long as ever, stands still."""
FAR_S = 3e9
"""A hundred years are no time that anyone waits for, nor one that JSON can always tell: of
steps as small as a float can be there is an infinity left."""


class Estimate(NamedTuple):
    """How the work goes on.

    Args:
        rate: in steps a second; 0 if it stands still, None if nobody knows.
        left_s: seconds of work that are left; None if nobody knows.
    """

    rate: float | None = None
    left_s: float | None = None


class Pace:
    """The steps of one unit, as they were seen."""

    def __init__(self) -> None:
        self._worked_s = 0.0
        self._looked_at = 0.0
        self._works = False
        self._key: object = None
        self._points: list[tuple[float, float]] = []
        """Time of work at which a step was seen first, and the step."""
        self._gap_s = GAP_S
        self._rate: float | None = None
        self._is_new = False
        """There are points that the rate doesn't know yet."""

    def works(self, now: float, works: bool) -> None:
        """Know whether there is work to do, from ``now`` on: seconds that never go back."""
        if self._works:
            self._worked_s += max(0.0, now - self._looked_at)
        self._looked_at, self._works = now, works

    def look(self, key: object, step: float | None) -> None:
        """Take in how far the work is, at the time that was said last.

        Args:
            key: what the steps are of: with another one all begins anew.
            step: how much is done; None if nobody says.
        """
        points = self._points
        if step is None or key != self._key or (points and step < points[-1][1]):
            points.clear()
            self._key, self._gap_s, self._rate = key, GAP_S, None
        if step is not None and (not points or step > points[-1][1]):
            self._worked_s -= self._overlong_s()  # a standstill counts as far as patience goes
            self._keep((self._worked_s, step))

    def _keep(self, point: tuple[float, float]) -> None:
        """Keep the first, the last, and what is far enough apart between them."""
        points = self._points
        if len(points) > 1 and points[-1][0] - points[-2][0] < self._gap_s:
            points[-1] = point
        else:
            points.append(point)
        if len(points) > MOST:
            if points[-1][0] - points[0][0] < WINDOW_S:
                del points[1:-1:2]
                self._gap_s *= 2
            else:
                del points[0]
        self._is_new = True

    def _slope(self) -> float | None:
        """Return the median of the slopes; None if too little was seen."""
        points = self._points
        if points[-1][0] - points[0][0] < LEAST_S:
            return None
        slopes = sorted(
            (step - first_step) / (at - first_at)
            for number, (first_at, first_step) in enumerate(points)
            for at, step in points[number + 1 :]
            if at - first_at >= APART_S
        )
        return slopes[int(len(slopes) * MIDDLE)]

    def estimate(self, total: float | None) -> Estimate:
        """Return how the work goes on, as it was at the last look.

        Args:
            total: how much there is to do; None or 0 if nobody knows.
        """
        if not self._points:
            return Estimate()
        rate = 0.0 if self._overlong_s() else self._slope_now()
        since, step = self._points[-1]
        if total and step >= total:
            return Estimate(rate, 0.0)
        if not total or not rate:
            return Estimate(rate)
        # The step that is being made has taken its time already, but no more than a step takes.
        still_s = self._worked_s - since
        left_s = max(0.0, (total - step) / rate - min(still_s, 1 / rate))
        return Estimate(rate, left_s if left_s <= FAR_S else None)

    def _slope_now(self) -> float | None:
        if self._is_new:
            self._rate, self._is_new = self._slope(), False
        return self._rate

    def _overlong_s(self) -> float:
        """Return for how long it has stood still, beyond what a step may take; 0 if it hasn't."""
        points = self._points
        still_s = self._worked_s - points[-1][0] if points else 0.0
        if still_s <= STILL_S or not (rate := self._slope_now()):
            return 0.0
        longest = max(later - at for (at, _), (later, _) in pairwise(points))
        return max(0.0, still_s - max(STILL_S, 3 * longest, 3 / rate))
