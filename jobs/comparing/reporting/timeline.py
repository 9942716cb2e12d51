"""Draws when attempts ran: bars by node, strips by stage, as SVG without a script.

Time without a launch is left out, with a mark where it was. Up to `MOST_LANES` lanes a bar is an
attempt, those of one stage that touch are one bar. With more, a node is a strip whose height is how
many ran at a time: ten thousand attempts are as many shapes as two hundred.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from jobs.comparing.reporting.time_use import Fate, Span, TimeUse

WIDTH = 1160
_SIDE = 170
"""Pixels for the names at the left."""
_BREAK = 14.0
"""Pixels of time left out."""
MOST_LANES = 64
_MOST_NODES = 40
_LANE = 11
_STRIP = 26
_GAP = 7
_HEAD = 20
_NUM_COLOURS = 10
_NUM_BINS = 330
_MOST_TITLES = 1500
"""Bars with a text of their own; a page with more would be slow to open."""
_LONGEST_NAME = 24


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """Both drawings, and what their colours mean."""

    by_node: Markup
    """Bars or strips, node by node."""
    by_stage: Markup
    """Strips, stage by stage."""
    legend: Sequence[tuple[int, str]]
    """Number of a colour, and the stage that it stands for."""
    num_failed: int
    """Marks of attempts that failed."""


def draw(use: TimeUse) -> Timeline | None:
    """Return the drawings; None where no attempt was made."""
    if not use.spans:
        return None
    stages = list(dict.fromkeys([*use.stages, *(span.stage for span in use.spans)]))
    ran = {span.stage for span in use.spans}
    stages = [stage for stage in stages if stage in ran]
    colours = {stage: index % _NUM_COLOURS for index, stage in enumerate(stages)}
    axis = _Axis(use)
    return Timeline(
        by_node=_svg(axis, use, _nodes(use, axis, colours), "attempts by node"),
        by_stage=_svg(axis, use, _stages(use, axis, colours, stages), "attempts by stage"),
        legend=[(colours[stage], stage) for stage in stages],
        num_failed=sum(span.fate is Fate.FAILED for span in use.spans),
    )


class _Axis:
    """Seconds since the epoch -> pixels, without the time in which no launch ran."""

    def __init__(self, use: TimeUse) -> None:
        times = [*use.launches, *((span.submitted, span.ended) for span in use.spans)]
        self.parts = _joined(times)
        total = sum(end - begin for begin, end in self.parts) or 1.0
        room = WIDTH - _SIDE - 8 - _BREAK * (len(self.parts) - 1)
        self.scale = max(room, 100.0) / total
        """Pixels a second."""

    def __call__(self, at: float) -> float:
        """Return the pixel of a moment."""
        x = float(_SIDE)
        for begin, end in self.parts:
            if at <= end:
                return x + max(0.0, at - begin) * self.scale
            x += (end - begin) * self.scale + _BREAK
        return x - _BREAK

    def breaks(self) -> list[float]:
        """Return the pixels where time is left out."""
        return [self(end) + _BREAK / 2 for _, end in self.parts[:-1]]

    def ticks(self) -> Iterator[tuple[float, str]]:
        """Yield pixel and text of round amounts of time that launches took."""
        total = sum(end - begin for begin, end in self.parts)
        step = next(
            (s for s in _STEPS if total / s <= 9), 7 * 86400.0 * (1 + total // (9 * 604800))
        )
        passed, tick = 0.0, 0.0
        for begin, end in self.parts:
            while tick <= passed + end - begin:
                yield self(begin + tick - passed), _amount(tick)
                tick += step
            passed += end - begin


_STEPS = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 28800, 86400, 172800, 604800)


def _amount(seconds: float) -> str:
    unit, length = ("s", 1) if seconds < 60 else ("min", 60) if seconds < 3600 else ("h", 3600)
    return f"{seconds / length:g} {unit}"


def _joined(times: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return what the times cover, where they follow each other within a fiftieth of it as one."""
    whole: list[tuple[float, float]] = []
    least = sum(end - begin for begin, end in times) / max(1, len(times)) / 50
    for begin, end in sorted(times):
        if whole and begin - whole[-1][1] <= max(60.0, least):
            whole[-1] = (whole[-1][0], max(whole[-1][1], end))
        else:
            whole.append((begin, max(begin, end)))
    if len(whole) > 30:  # so many launches that breaks would take the room: none are left out
        return [(whole[0][0], whole[-1][1])]
    return whole


@dataclass(frozen=True, kw_only=True)
class _Band:
    """A named part of a drawing, from its top."""

    name: str
    note: str
    height: float
    shapes: Callable[[float], Iterator[str]]
    """Top -> the shapes."""


def _nodes(use: TimeUse, axis: _Axis, colours: dict[str, int]) -> list[_Band]:
    groups: dict[str, list[Span]] = {}
    for span in sorted(use.spans, key=lambda span: span.began):
        groups.setdefault(span.node or "node not known", []).append(span)
    lanes = {node: _lanes(spans) for node, spans in groups.items()}
    if sum(map(len, lanes.values())) <= MOST_LANES:
        titled = len(use.spans) <= _MOST_TITLES
        return [
            _Band(
                name=node,
                note=f"{len(groups[node]):,} attempts",
                height=max(_LANE * len(lanes[node]), 2.0 * _LANE),
                shapes=_bars(lanes[node], axis, colours, is_titled=titled),
            )
            for node in sorted(lanes)
        ]
    names = sorted(groups, key=lambda node: -len(groups[node]))
    bands = [_strip(node, groups[node], axis, colours) for node in sorted(names[:_MOST_NODES])]
    if rest := [span for node in names[_MOST_NODES:] for span in groups[node]]:
        bands.append(_strip(f"{len(names) - _MOST_NODES} more nodes", rest, axis, colours))
    return bands


def _stages(
    use: TimeUse, axis: _Axis, colours: dict[str, int], stages: Sequence[str]
) -> list[_Band]:
    return [
        _strip(stage, [span for span in use.spans if span.stage == stage], axis, colours)
        for stage in stages
    ]


def _lanes(spans: Sequence[Span]) -> list[list[Span]]:
    """Put spans, sorted by their begin, into as few lanes as hold them without touching."""
    lanes: list[list[Span]] = []
    for span in spans:
        free = next((lane for lane in lanes if lane[-1].ended <= span.began + 1e-3), None)
        if free is None:
            lanes.append([span])
        else:
            free.append(span)
    return lanes


def _bars(
    lanes: Sequence[Sequence[Span]], axis: _Axis, colours: dict[str, int], *, is_titled: bool
) -> Callable[[float], Iterator[str]]:
    def shapes(top: float) -> Iterator[str]:
        for number, lane in enumerate(lanes):
            y = top + number * _LANE
            for bar in _merged(lane, axis):
                left, right = axis(bar[0].began), axis(bar[-1].ended)
                title = _title(bar) if is_titled else ""
                fate = " running" if bar[-1].fate is Fate.RUNNING else ""
                yield (
                    f'<rect class="c{colours[bar[0].stage]}{fate}" x="{left:.1f}" y="{y:.1f}" '
                    f'width="{max(0.8, right - left):.1f}" height="{_LANE - 2}">{title}</rect>'
                )
            yield from _marks((span for span in lane), axis, y + (_LANE - 2) / 2)

    return shapes


def _merged(lane: Sequence[Span], axis: _Axis) -> Iterator[list[Span]]:
    """Yield runs of spans of one stage between which less than a pixel is free."""
    bar: list[Span] = []
    for span in lane:
        is_small = bar and axis(span.ended) - axis(bar[-1].began) < 3
        if is_small and span.stage == bar[-1].stage and axis(span.began) - axis(bar[-1].ended) < 1:
            bar.append(span)
            continue
        if bar:
            yield bar
        bar = [span]
    if bar:
        yield bar


def _title(bar: Sequence[Span]) -> str:
    first = bar[0]
    text = f"{first.label}: {first.fate.value}, {first.ended - first.began:,.0f} s"
    if len(bar) > 1:
        text = f"{len(bar)} attempts of {first.stage}, {bar[-1].ended - first.began:,.0f} s"
    elif first.why:
        text += f"; {first.why[:160]}"
    return f"<title>{escape(text)}</title>"


def _strip(name: str, spans: Sequence[Span], axis: _Axis, colours: dict[str, int]) -> _Band:
    stages = list(dict.fromkeys(span.stage for span in sorted(spans, key=lambda s: s.began)))
    busy = {stage: _busy([span for span in spans if span.stage == stage], axis) for stage in stages}
    most = max(sum(column) for column in zip(*busy.values(), strict=True)) or 1.0
    failed = sum(span.fate is Fate.FAILED for span in spans)

    def shapes(top: float) -> Iterator[str]:
        bottom, floor = top + _STRIP - 5, [0.0] * _NUM_BINS
        for stage in stages:
            ceiling = [low + here for low, here in zip(floor, busy[stage], strict=True)]
            yield _area(f"c{colours[stage]}", floor, ceiling, bottom, (_STRIP - 7) / most)
            floor = ceiling
        yield from _marks(spans, axis, top + _STRIP - 3)

    note = f"{len(spans):,} attempts" + (f", {failed:,} failed" if failed else "")
    return _Band(
        name=name, note=f"{note}, at most {most:.0f} at a time", height=_STRIP, shapes=shapes
    )


def _busy(spans: Sequence[Span], axis: _Axis) -> list[float]:
    """Return how many ran in each bin of the axis, on the mean."""
    width = (WIDTH - 8 - _SIDE) / _NUM_BINS
    counts = [0.0] * _NUM_BINS
    for span in spans:
        left, right = ((axis(at) - _SIDE) / width for at in (span.began, span.ended))
        right = max(right, left + 0.02)
        for number in range(max(0, int(left)), min(_NUM_BINS, int(right) + 1)):
            counts[number] += max(0.0, min(right, number + 1) - max(left, number))
    return counts


def _area(
    name: str, floor: Sequence[float], ceiling: Sequence[float], bottom: float, scale: float
) -> str:
    width = (WIDTH - 8 - _SIDE) / _NUM_BINS
    pieces, start = [], None
    for number in range(_NUM_BINS + 1):
        is_busy = number < _NUM_BINS and ceiling[number] > floor[number]
        if is_busy and start is None:
            start = number
        elif not is_busy and start is not None:
            pieces.append(_outline(range(start, number), floor, ceiling, bottom, scale, width))
            start = None
    return f'<path class="{name}" d="{"".join(pieces)}"/>'


def _outline(
    bins: range,
    floor: Sequence[float],
    ceiling: Sequence[float],
    bottom: float,
    scale: float,
    width: float,
) -> str:
    def point(number: int, value: float) -> str:
        return f"{_SIDE + number * width:.1f} {bottom - value * scale:.1f}"

    above = [point(n + side, ceiling[n]) for n in bins for side in (0, 1)]
    below = [point(n + side, floor[n]) for n in reversed(bins) for side in (1, 0)]
    return f"M{'L'.join([*above, *below])}Z"


def _marks(spans: "Sequence[Span] | Iterator[Span]", axis: _Axis, y: float) -> Iterator[str]:
    """Yield a cross where attempts failed; those within two pixels share one."""
    at = Counter(round(axis(span.ended) / 2) * 2 for span in spans if span.fate is Fate.FAILED)
    for x in sorted(at):
        yield f'<path class="failed" d="M{x - 3} {y - 3:.1f}l6 6m0 -6l-6 6"/>'


def _svg(axis: _Axis, use: TimeUse, bands: Sequence[_Band], what: str) -> Markup:
    height = _HEAD + sum(band.height + _GAP for band in bands)
    shapes = list(_grid(axis, use, height))
    top = float(_HEAD)
    for band in bands:
        middle = top + min(band.height, _STRIP) / 2
        name = band.name if len(band.name) <= _LONGEST_NAME else f"{band.name[:_LONGEST_NAME]}…"
        shapes.append(
            f'<text class="name" x="{_SIDE - 8}" y="{middle:.1f}">{escape(name)}'
            f"<title>{escape(band.name)}: {escape(band.note)}</title></text>"
            f'<path class="line" d="M{_SIDE} {top + band.height + _GAP / 2:.1f}H{WIDTH - 8}"/>'
        )
        shapes += band.shapes(top)
        top += band.height + _GAP
    failed = sum(span.fate is Fate.FAILED for span in use.spans)
    label = f"{what}: {len(use.spans):,} attempts, {failed:,} failed"
    return Markup(  # noqa: S704  all texts in it are escaped above
        f'<svg class="timeline" role="img" aria-label="{escape(label)}" '
        f'viewBox="0 0 {WIDTH} {height:.0f}">{"".join(shapes)}</svg>'
    )


def _grid(axis: _Axis, use: TimeUse, height: float) -> Iterator[str]:
    for left, right, why in _wait_boxes(axis, use):
        yield (
            f'<rect class="wait" x="{left:.1f}" y="{_HEAD - 4}" width="{right - left:.1f}" '
            f'height="{height - _HEAD:.0f}"><title>waited: {escape(why[:200])}</title></rect>'
        )
    for x, text in axis.ticks():
        yield f'<path class="tick" d="M{x:.1f} {_HEAD - 5}V{height - 4:.0f}"/>'
        yield f'<text class="tick" x="{x:.1f}" y="10">{text}</text>'
    for x in axis.breaks():
        yield f'<path class="break" d="M{x:.1f} {_HEAD - 5}V{height - 4:.0f}"/>'


def _wait_boxes(axis: _Axis, use: TimeUse) -> list[tuple[float, float, str]]:
    """Return left, right and reason of each wait; those that touch on the drawing are one."""
    boxes: list[tuple[float, float, str]] = []
    for wait in sorted(use.waits, key=lambda wait: wait.began):
        left = axis(wait.began)
        right = max(axis(wait.ended), left + 1.5)
        if boxes and left <= boxes[-1][1] + 1:
            boxes[-1] = (boxes[-1][0], max(right, boxes[-1][1]), boxes[-1][2])
        else:
            boxes.append((left, right, wait.why))
    return boxes
