"""What each layer would say: probability of the target tokens by depth, base and aligned.

Lee et al. 2024, figure 2: each model is read through its own final norm.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.drawing.cuts import cuts
from analysis.drawing.figure import Drawing, Material
from analysis.drawing.marks import OKABE_ITO, finish, label_values, panels, style
from analysis.drawing.model_styles import by_family
from analysis.drawing.row_values import drawable, notes_on, number, value_limits
from analysis.measurement import Row

TARGETS = {"logit_lens": "P(toxic words)", "logit_lens_answer": "P(first token of the answer)"}
"""Metric, without the model it is of -> what the values are."""
CHOSEN = re.compile(r"probability of the tokens (\d[\d, ]*) as the next token")
"""What definitions say of tokens that a study chose."""
MOST_NAMED = 4
"""Chosen tokens that a label names by their ids: more do not fit beside a panel."""
PASSED = {"resid_pre": 0.0, "resid_mid": 0.5, "resid_post": 1.0}
"""Blocks passed at a site, beside those before it; attention is half a block."""
LOOKS = (("base", OKABE_ITO[0], "-", "o"), ("aligned", OKABE_ITO[1], (0, (5, 2)), "^"))
CAPTION = (
    "{label} read from the residual stream after each sublayer, through each model's own final "
    "norm and unembedding; shaded, 95 % intervals."
)


def drawings(material: Material) -> Iterator[Drawing]:
    """Yield one drawing per target and objective, a panel per model."""
    for target, label in TARGETS.items():
        rows = [row for model, *_ in LOOKS for row in _rows(material, f"{target}_{model}")]
        for cut in cuts(rows, material.layout):
            if drawable(cut.rows):
                shown = _label_of(cut.rows) or label
                yield Drawing(
                    name=f"{target}-by-layer{cut.suffix}",
                    caption=CAPTION.format(label=shown),
                    canvas=draw(cut.rows, label=shown, note=cut.note),
                )


def _label_of(rows: Sequence[Row]) -> str | None:
    """Return what values are of where a study chose tokens by their ids, as definitions say."""
    found = {match[1] for row in rows if (match := CHOSEN.search(str(row["definition"])))}
    if len(found) != 1:
        return None
    (ids,) = found
    number = ids.count(",") + 1
    if number > MOST_NAMED:
        return f"P(any of {number} chosen tokens)"
    return f"P(token{'s' if number > 1 else ''} {ids})"


def _rows(material: Material, metric: str) -> list[Row]:
    sites = [site for site in material.values(metric, "site") if site in PASSED]
    return material.rows(metric, layers=True, sites=sites) if sites else []


def draw(rows: Sequence[Row], *, label: str = "probability", note: str = "") -> "Figure":
    """`rows` are of `…_base` and `…_aligned`, at every layer of one position."""
    known = [row for row in rows if row["layer"] is not None]
    models = by_family(drawable(known))
    with style():
        figure, axes = panels(models, share=False)
        for axis, model in zip(axes, models, strict=True):
            own = [row for row in drawable(known) if row["model"] == model]
            for name, shade, dashes, marker in LOOKS:
                line = [row for row in own if str(row["metric"]).endswith(f"_{name}")]
                _line(axis, sorted(line, key=_passed), name, shade, dashes, marker)
            # A scale of its own: next to a larger model's, a small probability is a flat line.
            axis.set_ylim(0, value_limits(own, log=False)[1])
            axis.set_xlim(left=0)
            axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            axis.set_xlabel("blocks passed")
        label_values(axes, label)
        # A family without a site is no gap in its line: parallel blocks have no middle.
        lost = [row for row in known if row["status"] != "not_defined_for_family"]
        finish(figure, axes, notes_on(known, lost, note))
    return figure


def _passed(row: Row) -> float:
    return number(row, "layer") + PASSED[str(row["site"])]


def _line(
    axis: "Axes", rows: Sequence[Row], name: str, shade: str, dashes: Any, marker: str
) -> None:
    at = [_passed(row) for row in rows]
    axis.plot(
        at,
        [number(row, "value") for row in rows],
        color=shade,
        linestyle=dashes,
        marker=marker,
        markersize=3 if len(rows) < 40 else 0,
        label=name,
    )
    lows, highs = ([number(row, end) for row in rows] for end in ("low", "high"))
    axis.fill_between(at, lows, highs, color=shade, alpha=0.2, linewidth=0)
