"""Writing units: one test for each way in which others lost rows."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

from jobs.artifacts.artifact import digest_file
from jobs.store.activation_store import ActivationStore
from jobs.store.shard_file import Pieces, Shard, write_shard
from jobs.store.store_folder import StoreFolder
from jobs.store.store_layout import MARKER
from jobs.store.unit_writer import RowBlock, UnitWriter
from jobs.tokens.batches import Unit, cut_units

UNIT = Unit(number=3, group=1, members=np.arange(5), num_tokens=40)
PLACES = [("resid_mid", 0), ("resid_mid", 1)]


def block(start, num_rows, label="all"):
    tokens = np.arange(start, start + num_rows)
    rows = {
        place: (tokens[:, None] + np.arange(8) + 100 * place[1]).astype(np.float32)
        for place in PLACES
    }
    return RowBlock(label=label, tokens=tokens, reservoir=tokens % 2 == 0, rows=rows)


def written(folder, blocks, shard_bytes=2**20, arrays=None):
    writer = UnitWriter(folder, UNIT, "plan", shard_bytes=shard_bytes)
    for each in blocks:
        writer.add(each)
    writer.finish(arrays or {}, {"rows": {"all": 7}})
    return folder / UNIT.name


def marker_of(place):
    return json.loads((place / MARKER).read_text())


def test_the_marker_lists_every_file_with_size_digest_dtype_and_shape(tmp_path):
    sums = {"resid_mid.0.all.counts": np.arange(3), "resid_mid.0.all.mean": np.ones((2, 8))}
    place = written(tmp_path, [block(0, 4), block(4, 6)], arrays=sums)
    marker = marker_of(place)
    assert (marker["unit"], marker["token_plan"], marker["rows"]) == (3, "plan", {"all": 7})
    (shard,) = marker["shards"].values()
    file = place / "shard-000.safetensors"
    assert shard["bytes"] == file.stat().st_size and shard["xxh3"] == digest_file(file)
    assert shard["tensors"]["000003.resid_mid.1.all.rows.000"] == {
        "dtype": "float32",
        "shape": [10, 8],
    }
    assert shard["tensors"]["000003.stored.all.reservoir.000"]["dtype"] == "bool"
    assert shard["tensors"]["000003.resid_mid.0.all.mean"]["shape"] == [2, 8]


def test_shards_stay_below_their_size_and_no_row_is_lost_or_doubled(tmp_path):
    blocks = [block(0, 40), block(40, 3), block(43, 1), block(0, 30, "last")]
    place = written(tmp_path, blocks, shard_bytes=1000)
    marker = marker_of(place)
    assert len(marker["shards"]) > 4
    rows, tokens = [], []
    for number, file in enumerate(marker["shards"]):
        shard = Shard(place / file)
        listed = marker["shards"][file]["tensors"]
        assert sum(shard.array(name).nbytes for name in listed) <= 1000
        name = f"000003.resid_mid.1.all.rows.{number:03d}"
        if name in listed:
            rows.append(shard.array(name))
            tokens.append(shard.array(f"000003.stored.all.tokens.{number:03d}"))
    np.testing.assert_array_equal(np.concatenate(tokens), np.arange(44))
    np.testing.assert_array_equal(np.concatenate(rows)[:, 0], np.arange(44) + 100)


def test_files_are_those_of_the_library_and_readable_by_others(tmp_path):
    from safetensors.torch import load_file

    tensors = {
        "half": torch.arange(6).reshape(2, 3).bfloat16(),
        "flags": torch.tensor([True, False, True]),
        "wide": torch.arange(5, dtype=torch.float64),
        "none": torch.zeros(0, 4),
    }
    pieces = {name: Pieces.of(each.numpy()) for name, each in tensors.items() if name != "half"}
    raw = tensors["half"].view(torch.int16).numpy()
    pieces["half"] = Pieces(dtype="bfloat16", shape=(2, 3), arrays=[raw[:1], raw[1:]])
    before = os.umask(0o022)
    try:
        entry = write_shard(tmp_path / "a.safetensors", pieces)
    finally:
        os.umask(before)
    found = load_file(tmp_path / "a.safetensors")
    assert {name: str(each.dtype) for name, each in found.items()} == {
        name: str(each.dtype) for name, each in tensors.items()
    }
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)
    assert entry["xxh3"] == digest_file(tmp_path / "a.safetensors")
    assert (tmp_path / "a.safetensors").stat().st_mode & 0o777 == 0o644


def test_files_that_no_marker_lists_are_never_read(tmp_path, write_store):
    folder = write_store(tmp_path / "store")
    (folder / "units" / "000000" / "shard-009.safetensors").write_bytes(b"foreign")
    (folder / "units" / "000099").mkdir()
    assert len(ActivationStore(StoreFolder(folder)).stored("mlp_out", 1, "all")) == 157


def test_a_writer_clears_what_an_earlier_try_left(tmp_path):
    place = tmp_path / UNIT.name
    place.mkdir()
    (place / "shard-005.safetensors").write_bytes(b"old")
    written(tmp_path, [block(0, 9)])
    assert sorted(path.name for path in place.iterdir()) == [MARKER, "shard-000.safetensors"]


def test_a_short_last_shard_and_a_short_last_unit_are_kept(open_store, plan):
    store = open_store(shard_bytes=400, unit_tokens=20)
    sizes = [unit.marker["num_tokens"] for unit in store.units]
    assert min(sizes) < 20 and sum(sizes) == len(plan.token_ids)
    assert len(store.stored("mlp_out", 1, "all")) == len(plan.token_ids)


def test_rows_are_appended_without_a_byte_being_written_twice(tmp_path):
    """Lesson 40: appending is a new file; to save a growing one again is quadratic."""
    writer = UnitWriter(tmp_path, UNIT, "plan", shard_bytes=1000)
    seen = {}
    for start in range(0, 200, 5):
        writer.add(block(start, 5))
        for file in (tmp_path / UNIT.name).glob("*.safetensors"):
            stat = file.stat()
            assert seen.setdefault(file.name, (stat.st_ino, stat.st_mtime_ns)) == (
                stat.st_ino,
                stat.st_mtime_ns,
            )
    writer.finish({}, {})
    assert len(seen) > 10


def test_a_position_that_changes_its_dtype_is_our_own_bug(tmp_path):
    writer = UnitWriter(tmp_path, UNIT, "plan")
    writer.add(block(0, 2))
    other = block(2, 2)
    rows = {place: torch.from_numpy(each).bfloat16() for place, each in other.rows.items()}
    with pytest.raises(AssertionError, match="dtype"):
        writer.add(RowBlock(label="all", tokens=other.tokens, reservoir=other.reservoir, rows=rows))


def test_the_same_rows_in_other_blocks_give_the_same_bytes(tmp_path):
    one = written(tmp_path / "a", [block(0, 30)], shard_bytes=700)
    other = written(tmp_path / "b", [block(0, 7), block(7, 2), block(9, 21)], shard_bytes=700)
    assert marker_of(one) == marker_of(other)
    assert (one / MARKER).read_bytes() == (other / MARKER).read_bytes()


STREAMING = """
import resource, sys
from pathlib import Path
import numpy as np
from jobs.store.unit_writer import RowBlock, UnitWriter
from jobs.tokens.batches import Unit

unit = Unit(number=0, group=0, members=np.arange(3), num_tokens=9)
writer = UnitWriter(Path(sys.argv[1]), unit, "plan", shard_bytes=8 * 2**20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for start in range(0, 256 * 1024, 1024):
    rows = {("resid_mid", 0): np.ones((1024, 256), dtype=np.float32)}
    tokens = np.arange(start, start + 1024)
    writer.add(RowBlock(label="all", tokens=tokens, reservoir=tokens < 0, rows=rows))
writer.finish({}, {})
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_memory_stays_at_a_few_shards_while_far_more_streams_through(tmp_path):
    """Lesson 39: saving a safetensors file takes twice its size where it is done in one piece."""
    ran = subprocess.run(
        [sys.executable, "-c", STREAMING, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert int(ran.stdout) < 5 * 8 * 1024  # of 256 MiB, in KiB: two shards and what is freed late


def test_units_of_a_plan_are_all_there_or_the_index_is_refused(write_store, tmp_path, plan):
    from cluster.errors import SurroundingsError

    folder = write_store(tmp_path / "store")
    (folder / "store.json").unlink()
    shutil.rmtree(folder / "units" / "000002")
    with pytest.raises(SurroundingsError, match="not all units"):
        ActivationStore(StoreFolder(folder))
    assert len(cut_units(plan, 20)) > 5
