"""A unit is there whole or not at all, wherever the process died and whatever the disk refused."""

import json
import subprocess
import sys

import pytest

# Runs the protocol once per system call that it makes, and dies by SIGKILL just before that call.
# Then a later attempt looks what it finds there, and the job is done again: under the same id, and
# under ids that sort before and after it.
DIES_EVERYWHERE = """
import itertools, json, os, signal, sys, threading
import numpy as np
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact
from jobs.store.store_layout import UNITS
from jobs.store.unit_writer import RowBlock, UnitWriter
from jobs.store.unit_adoption import adopt_unit
from jobs.tokens.batches import Unit
from jobs.worker.attempt_folder import AttemptFolder

CALLS = {"mkdir", "rmdir", "unlink", "open", "write", "flush", "fsync", "replace", "rename",
         "link", "__exit__", "close", "posix_fadvise", "fstat", "stat", "scandir", "listdir"}
storage, doing = Storage(sys.argv[1]), sys.argv[2]
units = [Unit(number=n, group=0, members=np.arange(3), num_tokens=9) for n in (0, 1)]

def fsync(descriptor):
    "Processes die here, not machines: a call to die at, and hundreds of slow ones saved."

os.fsync = fsync

def attempt(job, name):
    return AttemptFolder(Artifact(storage, "extract", f"{job:016x}" + 48 * "0"), name)

def write(own, unit):
    writer = UnitWriter(own.path / UNITS, unit, "plan", shard_bytes=300)
    for start in range(0, 12, 4):  # a thread writes three shards, finish the fourth
        rows = {("resid_mid", 0): np.full((4, 16), unit.number, dtype=np.float32)}
        every = np.ones(4, dtype=bool)
        writer.add(RowBlock(label="all", tokens=start + np.arange(4), reservoir=every, rows=rows))
    writer.finish({"resid_mid.0.all.counts": np.arange(3)}, {})
    own.publish(f"{UNITS}/{unit.name}", discard=True)

def adopted(own, others):
    return [unit.number for unit in units if adopt_unit(own, others, unit, "plan")]

def left_over(own):  # of a try that memory ended: more shards than the unit has
    place = own.path / UNITS / units[0].name
    place.mkdir(parents=True)
    (place / "shard-007.safetensors").write_bytes(b"half a unit")

def protocol(own):
    write(own, units[1]) if doing == "write" else adopted(own, own.others())

def die_at(point):
    calls = itertools.count()
    def profile(frame, event, function):
        named = event == "c_call" and getattr(function, "__name__", None) in CALLS
        synced = event == "call" and frame.f_code is fsync.__code__
        if (named or synced) and next(calls) == point:
            os.kill(os.getpid(), signal.SIGKILL)
    threading.setprofile(profile)
    sys.setprofile(profile)

states, job = [], 0
while True:
    if doing == "write":
        write(attempt(job, "5"), units[0])
    else:
        for unit in units:
            write(attempt(job, "3"), unit)
        left_over(attempt(job, "5"))
    child = os.fork()
    if child == 0:
        die_at(job)
        protocol(attempt(job, "5"))
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    folder = attempt(job, "5").path / UNITS
    marked = sorted(int(each.parent.name) for each in folder.glob("*/UNIT.json"))
    state = {"marked": marked, "found": adopted(attempt(job, "7"), ["5"])}
    states.append(state)
    for name in ("5", "1", "9"):
        own = attempt(job, name)
        if doing == "write":
            write(own, units[1])
        adopted(own, own.others())
        state[name] = sorted(own.seal())
    if status == 0:
        break
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    job += 1
print(json.dumps(states))
"""
WHOLE = ["UNIT.json", *(f"shard-00{number}.safetensors" for number in range(4))]
BOTH = [f"units/00000{unit}/{file}" for unit in (0, 1) for file in WHOLE]


def states(tmp_path, doing):
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", DIES_EVERYWHERE, str(tmp_path), doing],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_killed_between_any_two_calls_a_written_unit_is_whole_or_not_there(tmp_path):
    """Lesson 35: what a comment promises about atomicity is tested by a kill at each step."""
    found = states(tmp_path, "write")
    assert len(found) > 40  # four shards, a marker, the folder: open, write, sync, rename each
    for state in found:
        # The finished unit stays; the other exists exactly when its marker does, and is whole then.
        assert state["found"] == state["marked"]
        assert state["found"] in ([0], [0, 1])
        assert state["5"] == state["1"] == state["9"] == BOTH
    assert found[0]["found"] == [0] and found[-1]["found"] == [0, 1]


def test_killed_between_any_two_calls_an_adopted_unit_is_whole_or_not_there(tmp_path):
    """Lesson 35, for taking over: hard links into an attempt that has left-overs of its own."""
    found = states(tmp_path, "adopt")
    assert len(found) > 60  # five files of two units: each linked, renamed, its folder synced
    for state in found:
        assert state["found"] == state["marked"]
        assert state["found"] in ([], [0], [0, 1])
        assert state["5"] == state["1"] == state["9"] == BOTH
    assert found[0]["found"] == [] and found[-1]["found"] == [0, 1]


DIES_WITHIN = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from jobs.store.unit_writer import RowBlock, UnitWriter
from jobs.tokens.batches import Unit
from cluster.errors import SurroundingsError

limit, how = int(sys.argv[2]), sys.argv[3]
signal.signal(signal.SIGXFSZ, signal.SIG_DFL if how == "die" else signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
unit = Unit(number=0, group=0, members=np.arange(3), num_tokens=9)
writer = UnitWriter(Path(sys.argv[1]), unit, "plan", shard_bytes=20_000)
taken = 0
try:
    for start in range(0, 4000, 40):
        rows = {("resid_mid", 0): np.ones((40, 100), dtype=np.float32)}
        tokens = start + np.arange(40)
        block = RowBlock(label="all", tokens=tokens, reservoir=tokens < 0, rows=rows)
        writer.add(block)
        taken += 1
    writer.finish({}, {})
except SurroundingsError as error:
    print(taken)
    print(error)
    sys.exit(error.exit_code)
"""


def within(tmp_path, limit, how):
    return subprocess.run(
        [sys.executable, "-c", DIES_WITHIN, str(tmp_path / "units"), str(limit), how],
        capture_output=True,
        text=True,
        check=False,
    )


def left(tmp_path):
    return sorted(path.name for path in (tmp_path / "units" / "000000").iterdir())


@pytest.mark.parametrize("limit", [0, 7, 4096, 15_000])
def test_killed_in_the_middle_of_a_file_nothing_has_its_name(tmp_path, limit):
    assert within(tmp_path, limit, "die").returncode < 0
    assert left(tmp_path) == ["shard-000.safetensors.tmp"]


@pytest.mark.parametrize("limit", [0, 4096, 15_000])
def test_a_disk_that_takes_no_more_is_one_clear_error_and_leaves_nothing(tmp_path, limit):
    ran = within(tmp_path, limit, "refuse")
    assert ran.returncode == 3 and ran.stderr == ""
    said = ran.stdout.splitlines()
    assert said[1] == "cannot write shard-000.safetensors: File too large"
    assert str(tmp_path) in said[2] and "free space" in said[3]
    assert left(tmp_path) == []


def test_a_writers_error_stops_the_producer(tmp_path):
    taken = int(within(tmp_path, 4096, "refuse").stdout.splitlines()[0])
    assert taken <= 3  # of a hundred blocks: the second shard finds that the first was refused


def test_a_disk_that_fills_up_is_one_clear_error_and_leaves_nothing(tmp_path):
    """A real one of a mebibyte, mounted where only the child sees it."""
    mounting = f"mount -t tmpfs -o size=1m tmpfs {tmp_path}"
    private = ["unshare", "--map-root-user", "--user", "--mount", "sh", "-c"]
    try:
        able = subprocess.run([*private, mounting], capture_output=True, check=False).returncode
    except FileNotFoundError:
        able = 1
    if able != 0:
        pytest.skip("this machine lets no process mount a small disk")
    child = f'{mounting} && "$0" -c "$1" {tmp_path}/units -1 refuse; echo $?; ls {tmp_path}/units/*'
    ran = subprocess.run(
        [*private, child, sys.executable, DIES_WITHIN], capture_output=True, text=True, check=False
    )
    said = ran.stdout.splitlines()
    assert 5 < int(said[0]) < 100
    assert said[1].endswith("No space left on device") and "free space" in said[3]
    assert said[4] == "3"
    assert said[5:] and all(name.endswith(".safetensors") for name in said[5:])
