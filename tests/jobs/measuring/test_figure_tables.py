"""Details that `measure` leaves for figures."""

import numpy as np
import pyarrow.parquet as pq

from analysis.rows.summary import Reservoir
from jobs.measuring.figure_tables import FigureTables


def kept(rows):
    numbers = np.arange(len(rows))
    base = np.random.default_rng(1).normal(size=rows.shape).astype(np.float32)
    return Reservoir(rows=rows, prompts=numbers, groups=numbers % 20, base=base)


def test_rows_that_all_point_one_way_fill_the_last_bin_and_neurons_have_no_plane(tmp_path):
    found = FigureTables()
    found.add("resid_mid", 2, "last", kept(np.ones((30, 5), dtype=np.float32)))
    found.add("mlp_act", 2, "last", kept(np.ones((30, 5), dtype=np.float32)))
    found.write(tmp_path)
    histograms = pq.read_table(tmp_path / "cosine_histogram.parquet").to_pylist()
    assert [line["counts"][-1] for line in histograms] == [30, 30]
    planes = pq.read_table(tmp_path / "principal_components.parquet")
    assert set(planes["site"].to_pylist()) == {"resid_mid"} and len(planes) == 30


def test_where_nothing_moved_the_files_are_there_and_empty(tmp_path):
    found = FigureTables()
    found.add("resid_mid", 2, "last", kept(np.zeros((30, 5), dtype=np.float32)))
    found.write(tmp_path)
    for name in ("cosine_histogram", "principal_components"):
        assert len(pq.read_table(tmp_path / f"{name}.parquet")) == 0
