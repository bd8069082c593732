"""A query among keys: weights as bars, and the average that follows. For chapter 02."""

import numpy as np

from dot2gpt import live_picture as live
from dot2gpt.pictures import _array, _softmax, _words

PLANE = (-3, 3, -2, 2.5, 60)  # left, right, low, high, units to a step of 1
FACTORS = (0, 0.125, 0.25, 0.5, 1, 2, 4, 8, 16, 64, 256)  # the stops of the slider
START = (1.0, 0.5)  # where the query stands at first


def average(points, names, *, caption):
    """Draw a query to drag among points that are keys and values in one.

    The scores are the dot products with the query times a factor, which a slider sets;
    the average is the sum of the points, each times its weight.

    points: (n_keys, 2), within the drawing. names: a word for each, (n_keys,).
    caption: one or two sentences shown below the picture; `code` in backticks.
    Raises ValueError for points of another shape or outside the drawing, names that do
    not match them.
    """
    points = _array("points", points).round(4)
    if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        raise ValueError("points is not a table of finite numbers, (n_keys, 2)")
    left, right, low, high, _ = PLANE
    inside = (points > (left, low)) & (points < (right, high))
    if not inside.all():
        raise ValueError(f"point {np.argmin(inside.all(1))} is outside the drawing")
    names = _words("names", names, len(points), "points", points)
    scores = points @ START
    weights = _softmax(scores)
    rows = [
        (name, (live.fixed(score), live.fixed(100 * w, 1) + " %"), w)
        for name, score, w in zip(names, scores, weights)
    ]
    said = "; ".join(f"{name} {texts[1]}" for name, texts, _ in rows)
    alt = f"A query as an arrow, and {len(names)} points with their weights: {said}."
    drawing = live.drawing(_shapes(points, names, weights), PLANE, alt)
    data = {
        "plane": PLANE,
        "points": points.tolist(),
        "factors": FACTORS,
        "start": START,
    }
    return live.figure(
        "average",
        drawing + live.bars(("point", "score", "weight"), rows),
        caption,
        data,
        ["  ".join([name, *texts]) for name, texts, _ in rows],
        parts=("plane", "bars"),
    )


def _shapes(points, names, weights):
    mean = weights @ points
    hull = [points[n] for n in _hull(points)]
    keys = "".join(
        live.disc("pv-key", 4, point, PLANE)
        + live.label("pv-key", name, point[0], point[1] + 0.12, PLANE)
        for name, point in zip(names, points)
    )
    ties = "".join(
        live.path("pv-tie", [mean, point], PLANE, f' style="--w:{w:.3f}"')
        for point, w in zip(points, weights)
    )
    return (
        live.path("pv-hull", [*hull, hull[0]], PLANE)
        + ties
        + live.path("pv-a", live.arrow(*START), PLANE)
        + live.label("pv-a", "query", *_above(START), PLANE)
        + keys
        + live.disc("pv-b", 7, mean, PLANE)
        + live.label("pv-b", "average", *_above(mean), PLANE)
    )


def _above(point):
    """Where a word stands: above its point, as in the script."""
    left, right, _, high, _ = PLANE
    return min(right - 0.5, max(left + 0.5, point[0])), min(high - 0.3, point[1] + 0.22)


def _hull(points):
    """The numbers of the outermost points, one after the other around (Andrew 1979)."""
    order = sorted(range(len(points)), key=lambda n: tuple(points[n]))

    def half(numbers):
        chain = []
        for n in numbers:
            while len(chain) > 1 and _turn(points, *chain[-2:], n) <= 0:
                chain.pop()
            chain.append(n)
        return chain[:-1]

    return half(order) + half(order[::-1]) or order[:1]


def _turn(points, i, j, k):
    """Above 0 where the way from i over j to k turns to the left."""
    (ax, ay), (bx, by) = points[j] - points[i], points[k] - points[i]
    return ax * by - ay * bx
