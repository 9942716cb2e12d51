"""Files of W&B that a kill tore: cut to their whole records, which W&B's own program reads."""

import os
import shutil
import subprocess
import sys

import pytest

from jobs.mirror.whole_records import cut_torn_record
from tests.wandb_files import inspect, rows

WRITE = """
import sys, wandb
run = wandb.init(mode="offline", dir=sys.argv[1], project="p", settings={"console": "off"})
for step in range(300):
    run.log({"loss": step, "text": "x" * (70_000 if step == 150 else 100)})
run.finish()
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A file of 300 rows, of which one fills two blocks."""
    folder = tmp_path_factory.mktemp("whole")
    # Not the variables of a run of this process, whose service may have ended.
    env = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    env |= {"WANDB_MODE": "offline", "HOME": str(folder)}
    words = [sys.executable, "-c", WRITE, str(folder)]
    subprocess.run(words, check=True, timeout=120, env=env, capture_output=True)
    (file,) = folder.glob("wandb/offline-run-*/run-*.wandb")
    return file


def torn_at(whole, folder, size):
    file = folder / whole.name
    shutil.copyfile(whole, file)
    os.truncate(file, size)
    return file


def test_a_whole_file_keeps_every_byte(whole, tmp_path) -> None:
    file = torn_at(whole, tmp_path, whole.stat().st_size)
    assert cut_torn_record(file) == 0 and file.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_a_torn_record_is_cut_off_and_what_stands_before_it_is_kept(whole, tmp_path, share) -> None:
    size = int(whole.stat().st_size * share)
    file = torn_at(whole, tmp_path, size)
    before = file.stat()
    cut = cut_torn_record(file)
    assert file.read_bytes() == whole.read_bytes()[: size - cut]
    assert file.stat().st_mtime_ns == before.st_mtime_ns
    assert cut_torn_record(file) == 0
    read = rows(inspect(file))
    assert [row["loss"] for row in read] == list(range(len(read)))
    assert cut < 1000 or len(read) == 150  # of the row that fills two blocks, all of it


def test_wherever_the_end_is_torn_the_same_records_are_left(whole, tmp_path) -> None:
    size = whole.stat().st_size
    ends = set()
    for torn in range(size - 700, size + 1):
        file = torn_at(whole, tmp_path, torn)
        cut_torn_record(file)
        ends.add(file.stat().st_size)
        assert file.stat().st_size <= torn
    assert 2 <= len(ends) <= 12 and size in ends


@pytest.mark.parametrize("size", [0, 3, 7, 10])
def test_of_a_file_without_a_record_its_header_is_left(whole, tmp_path, size) -> None:
    file = torn_at(whole, tmp_path, size)
    cut_torn_record(file)
    assert file.stat().st_size == min(size, 7)


def test_a_file_of_another_format_keeps_every_byte(tmp_path) -> None:
    file = tmp_path / "run-bad.wandb"
    file.write_bytes(b"torn by a crash of the machine")
    assert cut_torn_record(file) == 0 and file.read_bytes() == b"torn by a crash of the machine"
