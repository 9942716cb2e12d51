"""Metrics are found by the name of their file."""

import re
import subprocess
import sys

import pytest

from analysis.metric import METRICS


def test_every_metric_of_the_first_study_is_there() -> None:
    assert set(METRICS.names()) >= {
        "captured_energy",
        "components_90",
        "consistency",
        "cosine_to_mean",
        "effective_rank",
        "mean_cosine",
        "offset_norm",
        "participation_ratio",
        "relative_norm",
        "shared_part",
    }


@pytest.mark.parametrize("name", METRICS.names())
def test_every_metric_keeps_the_contract(name: str) -> None:
    metric = METRICS.find(name)
    assert re.match(r"v[1-9]: ", metric.DEFINITION) and "\n" not in metric.DEFINITION
    assert isinstance(metric.NEEDS_AGAINST, bool) and metric.AXIS_LABEL
    assert callable(metric.measure)


def test_no_value_is_of_two_metrics() -> None:
    values = [value for metric in METRICS.entries() for value in metric.REPORTS]
    assert len(set(values)) == len(values)


def test_a_hyphen_stands_for_an_underscore() -> None:
    assert METRICS.find("mean-cosine") is METRICS.find("mean_cosine")


def test_an_unknown_metric_names_what_exists_and_the_nearest() -> None:
    with pytest.raises(
        ValueError, match=r"no metric 'efective_rank'; there are: captured_energy"
    ) as error:
        METRICS.find("efective_rank")
    assert "did you mean 'effective_rank'?" in str(error.value)


@pytest.mark.parametrize("name", ["../lookup", "__init__", "os"])
def test_only_files_of_the_folder_are_metrics(name: str) -> None:
    with pytest.raises(ValueError, match="no metric"):
        METRICS.find(name)


def test_listing_names_imports_no_numerics() -> None:
    code = (
        "import sys; from analysis.metric import METRICS; assert METRICS.names();"
        "assert not {'numpy', 'torch', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
