"""Real faults around a launch: a full disk, a read-only root, one not mounted, an S3 outage.

Each ends with the undisturbed table, byte for byte, and no job is charged anything.
"""

import dataclasses
import errno
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from cluster.storage import Storage
from orchestrator.records.history import read_history

pytestmark = pytest.mark.slow

STUDY = str(Path(__file__).parent / "one_cell.yaml")
NAME = "one-cell"
_LONGEST_S = 400
_ROOM_MB = 256


def mounted(*words: str) -> None:
    """Call `mount`, or skip the test where that is not allowed; somebody may write just now."""
    for _ in range(200):
        done = subprocess.run(["mount", *words], capture_output=True, text=True)
        if not done.returncode:
            return
        if "busy" not in done.stderr:
            break
        time.sleep(0.02)
    pytest.skip(f"mount is not possible here: {done.stderr.strip()}")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own for a root."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted("-t", "tmpfs", "-o", f"size={_ROOM_MB}m", "tmpfs", str(place))
    yield place
    while subprocess.run(["umount", "-l", str(place)], capture_output=True).returncode == 0:
        pass


@pytest.fixture(scope="session")
def table(command_at: Any, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The table of the study without any disturbance."""
    command = command_at(root=tmp_path_factory.mktemp("calm"))
    done = command.run("launch", STUDY, "--executor", "local")
    assert done.returncode == 0, done.stderr
    return bytes(command.measurements(NAME))


class Launch:
    """A launch whose standard error is read as it comes."""

    def __init__(self, command: Any, *words: str) -> None:
        self.process = command.start("launch", STUDY, *words)
        self.command, self.lines = command, list[str]()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stderr:
            self.lines.append(line)

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds; the launch must not end before."""
        until = time.monotonic() + _LONGEST_S
        while not condition():
            assert self.process.poll() is None, "".join(self.lines)
            assert time.monotonic() < until, "".join(self.lines)
            time.sleep(0.02)

    def wait_until_it_says(self, words: str) -> None:
        """Wait for words on standard error."""
        self.wait_for(lambda: any(words in line for line in self.lines))

    def end(self) -> int:
        """Wait for the end; return the exit code."""
        return int(self.process.wait(timeout=_LONGEST_S))

    def kill(self) -> None:
        """End what a failed test left."""
        self.process.kill()
        self.process.wait()


@pytest.fixture
def begin() -> Iterator[Callable[..., Launch]]:
    """A function that starts a launch."""
    begun: list[Launch] = []

    def start(command: Any, *words: str) -> Launch:
        begun.append(Launch(command, *words))
        return begun[-1]

    yield start
    for launch in begun:
        launch.kill()


def assert_as_if_nothing_had_been(root: Storage, table: bytes) -> None:
    assert root.read(f"studies/{NAME}/tables/table/measurements.csv") == table
    past = read_history(root, NAME)
    assert not any(job.failures.total() for job in past.jobs.values())


def fill(place: Path) -> Path:
    """Take all room of a file system."""
    filler = place / "filler"
    with filler.open("wb") as stream, suppress(OSError):
        while True:
            stream.write(bytes(1 << 16))
            stream.flush()
    return filler


@pytest.mark.parametrize("executor", ["local", "ray"])
def test_a_disk_that_runs_full_is_waited_for_until_there_is_room(
    command_at: Any, place: Path, begin: Any, table: bytes, executor: str
) -> None:
    command = command_at(root=place / "results")
    launch = begin(command, "--executor", executor)
    launch.wait_for(lambda: len(command.records()) >= 2)
    filler = fill(place)
    launch.wait_until_it_says("waiting for room on the storage since")
    time.sleep(10)
    filler.unlink()
    assert launch.end() == 0, "".join(launch.lines)
    assert_as_if_nothing_had_been(Storage(command.root), table)
    told = [line for line in launch.lines if "waiting for" in line]
    assert len(told) <= 3, told


def test_after_its_patience_a_launch_ends_with_75_and_the_same_command_goes_on(
    command_at: Any, place: Path, begin: Any, table: bytes
) -> None:
    command = command_at(root=place / "results")
    launch = begin(command, "--executor", "local", "--patience", "5s")
    launch.wait_for(lambda: len(command.records()) >= 2)
    filler = fill(place)
    assert launch.end() == 75, "".join(launch.lines)
    filler.unlink()
    done = command.run("launch", STUDY, "--executor", "local")
    assert done.returncode == 0, done.stderr
    assert_as_if_nothing_had_been(Storage(command.root), table)


def test_a_root_that_becomes_read_only_is_waited_for(
    command_at: Any, place: Path, begin: Any, table: bytes
) -> None:
    root = place / "results"
    command = command_at(root=root)
    launch = begin(command, "--executor", "local")
    launch.wait_for(lambda: len(command.records()) >= 1)
    # Over itself: a file system with open files cannot be made read-only in its place.
    mounted("-o", "bind,ro", str(root), str(root))
    with pytest.raises(OSError) as refused:
        (root / "probe").touch()
    assert refused.value.errno == errno.EROFS
    launch.wait_until_it_says("waiting for a storage that takes writes since")
    time.sleep(5)
    subprocess.run(["umount", "-l", str(root)], check=True)
    assert launch.end() == 0, "".join(launch.lines)
    assert_as_if_nothing_had_been(Storage(root), table)


def test_a_root_that_is_taken_away_is_waited_for_and_nothing_is_written_in_its_place(
    command_at: Any, place: Path, tmp_path: Path, begin: Any, table: bytes
) -> None:
    root = tmp_path / "mounted"
    root.mkdir()
    mounted("--bind", str(place), str(root))
    command = command_at(root=root)
    launch = begin(command, "--executor", "local")
    launch.wait_for(lambda: len(command.records()) >= 2)
    subprocess.run(["umount", "-l", str(root)], check=True)
    launch.wait_until_it_says("waiting for the storage since")
    time.sleep(5)
    left = [path for path in root.rglob("*") if path.name == "record.json"]
    mounted("--bind", str(place), str(root))
    try:
        assert launch.end() == 0, "".join(launch.lines)
        assert not left
        assert_as_if_nothing_had_been(Storage(root), table)
    finally:
        os.sync()
        subprocess.run(["umount", "-l", str(root)], check=False)


def test_an_outage_of_the_object_storage_of_three_minutes_costs_three_minutes(
    command: Any, bucket: str, proxy: Any, s3: Any, begin: Any, table: bytes
) -> None:
    root = Storage(f"{bucket}/root")
    launch = begin(dataclasses.replace(command, root=root.url), "--executor", "local")
    launch.wait_for(lambda: sum("record.json" in name for name in proxy.seen if "PUT" in name) >= 2)
    proxy.passing(lambda request: True, lambda request: request.hang_up())
    began = time.monotonic()
    launch.wait_until_it_says("waiting for the storage since")
    time.sleep(max(0.0, 180 - (time.monotonic() - began)))
    proxy.passing(lambda request: False, lambda request: None)
    assert launch.end() == 0, "".join(launch.lines)
    assert_as_if_nothing_had_been(root, table)
