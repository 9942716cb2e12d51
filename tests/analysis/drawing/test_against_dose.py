"""The figure against the dose of training: what is drawn where, and that others draw only ends."""

import numpy as np
import pytest

from analysis.drawing.figure import Material
from analysis.drawing.figures import against_dose
from analysis.long_table.circumstances import Circumstances
from analysis.long_table.columns import to_table
from analysis.long_table.query import LongTable

SIZES = {"small": 1e5, "large": 4e5}


def material(with_dose=True, seeds=("0",)):
    """Two sizes, the larger trained twice as hard by the same steps."""
    rows, circumstances = [], {}
    for model, size in SIZES.items():
        for seed in seeds:
            for step in (10, 20, 40):
                dose = step * size / 1e7
                numbers = {"relative_norm": dose**0.5, "consistency": 0.9 - dose / 4}
                if with_dose:
                    numbers["kl_per_token"] = dose
                for metric, value in numbers.items():
                    key = f"{model}-{metric}-{step}-{seed}"
                    circumstances[key] = Circumstances(
                        base=model,
                        aligned=f"{model}@{step}-{seed}",
                        run=f"{model}-{seed}",
                        step=step,
                    )
                    rows.append(
                        {
                            "snapshot": f"step-{step}",
                            "seed": seed,
                            "model": model,
                            "family": "gpt2",
                            "num_parameters": int(size),
                            "metric": metric,
                            "value": value,
                            "low": value * 0.95,
                            "high": value * 1.05,
                            "key": key,
                        }
                    )
    table = to_table(rows, ["snapshot", "seed"])
    return Material(measured=LongTable.of(table), circumstances=lambda: circumstances)


@pytest.mark.parametrize("seeds", [("0",), ("0", "1")])
def test_each_model_is_a_line_over_the_dose_that_it_reached(seeds):
    drawn = {d.name: d for d in against_dose.drawings(material(seeds=seeds))}
    assert set(drawn) >= {
        "relative_norm-against-dose-of-training",
        "consistency-against-dose-of-training",
    }
    (axis,) = drawn["consistency-against-dose-of-training"].canvas.axes
    lines = {bars.get_label(): bars.lines[0].get_xdata() for bars in axis.containers}
    assert np.allclose(lines["small (0.10 M)"], [0.1, 0.2, 0.4])
    assert np.allclose(lines["large (0.40 M)"], [0.4, 0.8, 1.6])
    assert axis.get_xlabel() == "kl per token (nats per token)"
    caption = drawn["consistency-against-dose-of-training"].caption
    assert "95 % intervals over prompts" in caption
    assert ("and seeds, at the mean dose of these" in caption) == (len(seeds) > 1)
    (axis,) = drawn["relative_norm-against-dose-of-training"].canvas.axes
    assert axis.containers[0].lines[0].get_xdata()[0] == 0  # the base, by definition


def test_without_a_dose_or_a_snapshot_there_is_nothing_to_draw():
    assert not list(against_dose.drawings(material(with_dose=False)))
    assert not list(against_dose.drawings(Material(measured=material().measured)))
