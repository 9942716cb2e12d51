"""What attempts used: samples summed up, Parquet that grows by parts, files that are damaged."""

from pathlib import Path

import pandas as pd
import pytest

from cluster.errors import SurroundingsError
from cluster.storage import Storage
from jobs.liveness.heartbeat import Heartbeat, Phase
from jobs.telemetry import parts
from jobs.telemetry.attempt_use import AttemptUse
from jobs.telemetry.columns import TABLES, schema
from jobs.telemetry.parts import Parts, telemetry_folder
from jobs.telemetry.reading import read_telemetry


def beat(number, phase, since, rank=0, **more):
    return Heartbeat(rank=rank, beat=number, node="n1", phase=phase, since=since, **more)


def test_samples_add_up_to_phases_rates_tokens_and_peaks():
    use = AttemptUse()
    assert len(use.take(100.0, [beat(0, Phase.LOADING, 96.0, memory_gb=1.0)])) == 1
    assert use.take(105.0, [beat(0, Phase.LOADING, 96.0, memory_gb=1.0)]) == []  # no new beat
    use.take(110.0, [beat(4, Phase.STEPPING, 104.0, rate=2.0, tokens=1000, step=10, memory_gb=3.0)])
    (row,) = use.take(120.0, [beat(8, Phase.STEPPING, 104.0, rate=4.0, tokens=3000, step=50)])
    assert (row["tokens_per_s"], row["steps_per_s"], row["phase"]) == (200.0, 4.0, "stepping")
    summary = use.summary()
    assert (summary["loading_s"], summary["stepping_s"]) == (8.0, 16.0)
    assert (summary["steps"], summary["steps_per_s"], summary["tokens_per_s"]) == (50, 3.0, 200.0)
    assert (summary["memory_gb"], summary["num_samples"], summary["num_ranks"]) == (3.0, 3, 1)
    assert summary["gpu_use"] is None and summary["saving_s"] == 0


def test_ranks_are_lines_of_their_own_and_their_tokens_add_up():
    use = AttemptUse()
    for at, tokens in ((10.0, 0), (20.0, 500)):
        ranks = [beat(int(at), Phase.STEPPING, 1.0, rank, tokens=tokens, gpu_use=0.5 + rank / 2)
                 for rank in (0, 1)]  # fmt: skip
        rows = use.take(at, ranks)
    assert [(row["rank"], row["tokens_per_s"]) for row in rows] == [(0, 50.0), (1, 50.0)]
    assert use.summary()["tokens_per_s"] == 100.0
    assert use.summary()["gpu_use"] == 0.75


@pytest.fixture
def root(tmp_path):
    return Storage(tmp_path / "root")


def test_a_table_grows_by_parts_and_one_line_of_pandas_reads_it(root, tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "MOST_ROWS", 4)
    table = Parts(root, "study", "launch", "samples")
    for number in range(10):
        table.add({"at": number, "attempt": "a", "step": number})
        if number % 3 == 0:
            table.flush()
    table.flush()
    folder = tmp_path / "root" / telemetry_folder("study") / "samples"
    assert sorted(path.name for path in folder.iterdir()) == [
        "launch-0000.parquet", "launch-0001.parquet", "launch-0002.parquet",
    ]  # fmt: skip
    frame = pd.read_parquet(folder)
    assert list(frame.step) == list(range(10)) and list(frame.columns) == schema("samples").names
    assert str(frame["at"].dtype) == "datetime64[ms, UTC]"
    table.flush()  # nothing new: nothing is written
    assert len(list(folder.iterdir())) == 3


def test_rows_wait_while_the_storage_is_away_and_the_oldest_go_first(root, monkeypatch):
    monkeypatch.setattr(parts, "_MOST_KEPT", 3)
    table = Parts(root, "study", "launch", "samples")

    def away(name, data):
        raise SurroundingsError("away")

    with monkeypatch.context() as patch:
        patch.setattr(root, "write", away)
        for number in range(5):
            table.add({"at": number, "step": number})
            with pytest.raises(SurroundingsError):
                table.flush()
    table.flush()
    assert read_telemetry(root, "study", "samples")["step"].to_pylist() == [2, 3, 4]


def test_what_was_written_stays_where_a_storage_is_away_so_long_that_rows_go(root, monkeypatch):
    monkeypatch.setattr(parts, "_MOST_KEPT", 4)
    monkeypatch.setattr(parts, "_PACKED_ROWS", 1)
    table = Parts(root, "study", "launch", "samples")
    for number in range(3):
        table.add({"at": number, "step": number})
    table.flush()
    for number in range(3, 9):  # while it is away
        table.add({"at": number, "step": number})
    table.flush()
    steps = read_telemetry(root, "study", "samples")["step"].to_pylist()
    assert steps[:3] == [0, 1, 2] and steps[-4:] == [5, 6, 7, 8] and steps == sorted(set(steps))


def test_rows_that_wait_are_packed_and_few_are_mappings(root, monkeypatch):
    table, most = Parts(root, "study", "launch", "samples"), 0
    row = {
        "launch": "l" * 24,
        "attempt": "a" * 30,
        "key": "k" * 64,
        "node": "n1",
        "phase": "saving",
    }
    for number in range(20_500):
        table.add({**row, "at": number, "step": number})
        most = max(most, len(table._rows))
    packed = sum(one.nbytes for one in table._packed)
    assert most < parts._PACKED_ROWS and packed < 400 * 20_500
    table.flush()
    assert read_telemetry(root, "study", "samples")["step"].to_pylist() == list(range(20_500))


def test_damaged_and_foreign_files_and_those_of_other_versions_are_read_around(root, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = Parts(root, "study", "a", "attempts")
    table.add({"attempt": "a-1", "result": "done"})
    table.flush()
    folder = tmp_path / "root" / telemetry_folder("study") / "attempts"
    (folder / "b-0000.parquet").write_bytes(b"PAR1")
    (folder / "note.txt").write_text("mine")
    later = pa.table({"attempt": ["c-1"], "brand_new": [1]})
    pq.write_table(later, folder / "c-0000.parquet")
    read = read_telemetry(root, "study", "attempts")
    assert read["attempt"].to_pylist() == ["a-1", "c-1"]
    assert read.column_names == schema("attempts").names
    assert read_telemetry(root, "nobody", "samples").num_rows == 0


def test_every_column_has_a_name_of_its_own_and_says_what_it_holds():
    for table, columns in TABLES.items():
        names = [name for name, _, _ in columns]
        assert len(set(names)) == len(names), table
        assert all(meaning for _, _, meaning in columns)
        assert schema(table).names == names


def test_the_page_lists_every_column_as_it_is():
    page = (Path(__file__).parents[3] / "docs/howto/telemetry.md").read_text()
    for table, columns in TABLES.items():
        section = page.split(f"\n## `{table}`\n")[1].split("\n## ")[0]
        assert [line for line in section.splitlines() if line.startswith("| `")] == [
            f"| `{name}` | {type_} | {meaning} |" for name, type_, meaning in columns
        ]
