"""A picture of a replay: what each class was expected to get and to cost over time, as SVG."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from xml.sax.saxutils import escape

from server.money import usd
from server.replay.figures import ClassFigures
from server.replay.report import Report

_WIDTH, _HEIGHT, _LEFT, _TOP, _GAP = 640, 180, 70, 30, 60
_COLOURS = ("#1b6ca8", "#c8553d", "#3a7d44", "#7b4b94", "#b8860b", "#555555")
# Room above and below what is drawn, in parts of its range.
_ROOM = 0.1

Points = Sequence[tuple[float, float]]


def svg(report: Report) -> str:
    """One panel of accuracy, with floors dashed, and one of the cost of a request."""
    accuracy = _lines(report, lambda one: one.accuracy)
    cost = _lines(report, lambda one: one.cost_nano_usd)
    floors = _lines(report, lambda one: one.floor)
    below = _TOP + _HEIGHT + _GAP
    height = below + _HEIGHT + _GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDTH + 20}" height="{height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="100%" height="{height}" fill="white"/>',
        *_panel(report, "expected accuracy", _TOP, accuracy, floors, lambda v: f"{v:.1%}"),
        *_panel(report, "expected cost of a request", below, cost, {}, usd),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _lines(report: Report, value: Callable[[ClassFigures], float | None]) -> Mapping[str, Points]:
    """By class: the middle of each slice, and the value there."""
    found: dict[str, list[tuple[float, float]]] = {}
    for stretch in report.slices:
        for one in stretch.classes:
            at = value(one)
            if at is not None:
                middle_s = (stretch.begin_s + stretch.end_s) / 2
                found.setdefault(one.traffic_class, []).append((middle_s, at))
    return found


def _panel(
    report: Report,
    title: str,
    top: int,
    lines: Mapping[str, Points],
    dashed: Mapping[str, Points],
    shown: Callable[[float], str],
) -> Iterator[str]:
    values = [v for points in (*lines.values(), *dashed.values()) for _, v in points]
    least, most = min(values), max(values)
    room = _ROOM * (most - least) or _ROOM * abs(most) or 1.0
    low, high = least - room, most + room

    def place(point: tuple[float, float]) -> str:
        x = _LEFT + _WIDTH * point[0] / (report.lasted_s or 1.0)
        y = top + _HEIGHT * (high - point[1]) / (high - low)
        return f"{x:.1f},{y:.1f}"

    yield f'<text x="{_LEFT}" y="{top - 10}" font-weight="bold">{title}</text>'
    yield (
        f'<rect x="{_LEFT}" y="{top}" width="{_WIDTH}" height="{_HEIGHT}" fill="none" '
        'stroke="#999999"/>'
    )
    for value in (least, most):
        y = place((0.0, value)).partition(",")[2]
        yield f'<text x="{_LEFT - 6}" y="{y}" text-anchor="end">{escape(shown(value))}</text>'
    for number, (name, points) in enumerate(lines.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        yield _line(points, place, colour, "")
        if name in dashed:
            yield _line(dashed[name], place, colour, ' stroke-dasharray="6 4"')
        x = _LEFT + 10 + 110 * number
        yield f'<text x="{x}" y="{top + _HEIGHT + 18}" fill="{colour}">{escape(name)}</text>'
    end = f"{report.lasted_s:,.0f} s"
    yield f'<text x="{_LEFT + _WIDTH}" y="{top + _HEIGHT + 18}" text-anchor="end">{end}</text>'


def _line(
    points: Points, place: Callable[[tuple[float, float]], str], colour: str, style: str
) -> str:
    drawn = " ".join(map(place, points))
    return f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="2"{style}/>'
