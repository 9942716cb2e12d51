"""Where a study's time went: sums by stage and node, drawings that stay small."""

import re

import pytest

from jobs.comparing.reporting.time_use import Fate, Reused, Span, TimeUse, Wait, by_node, by_stage
from jobs.comparing.reporting.timeline import MOST_LANES, draw

T0 = 1_790_000_000.0


def span(began, ended, *, stage="base", node="n1", fate=Fate.DONE, waited=0.0, gpus=2.0, **more):
    return Span(
        stage=stage,
        label=f"{stage}[seed=0]",
        node=node,
        submitted=T0 + began - waited,
        began=T0 + began,
        ended=T0 + ended,
        fate=fate,
        num_gpus=gpus,
        held_s=ended - began + waited,
        **more,
    )


USE = TimeUse(
    spans=[
        span(0, 3600),
        span(0, 1800, node="n2", fate=Fate.FAILED, why="out <of> luck"),
        span(3600, 7200, stage="aligned", waited=1800, fate=Fate.STOPPED),
    ],
    stages=["base", "aligned", "never"],
    reused={"never": Reused(jobs=3, hours=1.5, gpu_hours=6.0)},
)


def test_hours_are_summed_by_stage_and_by_what_came_of_them():
    base, aligned, never, whole = by_stage(USE)
    assert (base.attempts, base.failed, base.hours, base.lost_hours) == (2, 1, 1.5, 0.5)
    assert base.gpu_hours[Fate.DONE] == 2.0 and base.gpu_hours[Fate.FAILED] == 1.0
    assert (aligned.waited, aligned.gpu_hours[Fate.STOPPED], aligned.used) == (0.5, 3.0, 3.0)
    assert (never.attempts, never.reused.jobs, never.reused.gpu_hours) == (0, 3, 6.0)
    assert (whole.name, whole.attempts, whole.used, whole.reused.hours) == ("all", 3, 6.0, 1.5)


def test_hours_by_node_put_the_busiest_first():
    assert [(line.name, line.hours) for line in by_node(USE)] == [("n1", 2.0), ("n2", 0.5)]


def test_reused_hours_that_were_not_looked_up_are_no_zero():
    use = TimeUse(stages=["a"], reused={"a": Reused(jobs=2, hours=None)})
    assert by_stage(use)[-1].reused == Reused(jobs=2, hours=None)


def rects(svg, name):
    """Left and width of the rectangles of a class."""
    pattern = rf'<rect class="{name}[^"]*" x="([\d.]+)" y="[\d.]+" width="([\d.]+)"'
    return [tuple(map(float, found)) for found in re.findall(pattern, svg)]


def test_attempts_are_bars_failures_are_marked_and_texts_are_escaped():
    timeline = draw(USE)
    (first, second) = rects(timeline.by_node, "c0")
    assert first[0] == second[0] and first[1] == pytest.approx(2 * second[1], abs=0.2)
    ((left, width),) = rects(timeline.by_node, "c1")
    assert left == pytest.approx(sum(first), abs=0.2) and width == pytest.approx(first[1], abs=0.2)
    assert timeline.by_node.count('class="failed"') == timeline.num_failed == 1
    assert "out &lt;of&gt; luck" in timeline.by_node
    assert timeline.legend == [(0, "base"), (1, "aligned")]
    assert "3 attempts, 1 failed" in timeline.by_stage


def test_time_without_a_launch_is_left_out_and_marked():
    spans = [span(0, 100), span(1_000_000, 1_000_100)]
    use = TimeUse(spans=spans, launches=[(T0, T0 + 100), (T0 + 1e6, T0 + 1e6 + 100)])
    drawn = draw(use).by_node
    (one, other) = rects(drawn, "c0")
    assert drawn.count('class="break"') == 1
    assert one[1] == pytest.approx(other[1], abs=0.2) and one[1] > 400


def test_waits_are_shaded_and_those_that_touch_are_one():
    waits = [Wait(began=T0 + at, ended=T0 + at + 1, why="disk") for at in range(0, 1000, 2)]
    drawn = draw(TimeUse(spans=[span(0, 10_000)], waits=waits)).by_node
    ((_, width),) = rects(drawn, "wait")
    assert drawn.count("waited: disk") == 1 and 80 < width < 120


def test_ten_thousand_attempts_on_few_lanes_draw_no_more_than_there_are_pixels():
    spans = [span(n, n + 1, node=f"n{n % 4}") for n in range(10_000)]
    drawn = draw(TimeUse(spans=spans)).by_node
    assert len(rects(drawn, "c0")) < 4 * 500 and len(drawn) < 500_000
    assert "<title>base" not in drawn


def test_many_lanes_are_strips_and_the_nodes_with_the_least_share_one():
    spans = [span(0, 100, node=f"n{n % (2 * MOST_LANES)}") for n in range(300)]
    drawn = draw(TimeUse(spans=spans)).by_node
    assert not rects(drawn, "c0")
    assert f"{2 * MOST_LANES - 40} more nodes" in drawn


def test_nothing_is_drawn_of_a_study_that_was_never_tried():
    assert draw(TimeUse(stages=["base"])) is None
