"""What a killed extraction leaves: whole units are taken over, everything else is done again."""

import json
import signal

from cluster.executor import Surroundings
from jobs import run
from tests.forked import forked
from tests.jobs.assignments import with_params

PARAMS = {"layers": [1, 2]}
DIE_BEFORE_UNIT = 7
LONGEST_S = 300

DYING_WORKER = """
import itertools, os, signal, sys
from cluster.executor import Surroundings
from jobs import run
asked = itertools.count()
def stop_requested():
    if next(asked) == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
    return False
run.run(sys.argv[2], Surroundings(stop_requested=stop_requested))
"""


def files_of(artifact):
    return {name: entry.xxh3 for name, entry in artifact.record.files.items()}


def stop_before(unit):
    calls = iter(range(10**6))
    return lambda: next(calls) == unit


def counted(calls):
    """Never stop, and count how often it was asked: once per unit computed."""
    return lambda: calls.append(1) is not None and False


def test_after_a_real_kill_only_the_missing_units_are_computed_and_the_bytes_are_the_same(
    root, pair, tmp_path
):
    inputs, _, _ = pair
    payload, artifact = root.payload("extract", PARAMS, "killed", inputs)
    died = forked(DYING_WORKER, [str(DIE_BEFORE_UNIT), payload], tmp_path / "said")
    died.join(LONGEST_S)
    assert died.exitcode == -signal.SIGKILL
    assert artifact.find_record() is None
    units = root.storage.path(f"{artifact.attempt_folder('killed')}/units")
    # What was computed and not yet written is lost: writing goes on beside the computation.
    num_whole = len(list(units.glob("*/UNIT.json")))
    assert num_whole <= DIE_BEFORE_UNIT

    calls = []
    again = root.done("extract", PARAMS, attempt="second", stop=counted(calls), **inputs)
    num_units = again.facts["store"]["num_units"]
    assert (num_units, len(calls)) == (20, 20 - num_whole)
    resumed = files_of(again)

    again.retire(again.record_bytes())
    root.storage.remove(f"{again.folder}/attempts")
    fresh = root.done("extract", PARAMS, attempt="third", **inputs)
    assert files_of(fresh) == resumed


def stopped_attempt(root, inputs, unit=10):
    """An attempt that ended before this unit; its folder of units."""
    answer, artifact = root.run(
        "extract", PARAMS, attempt="stopped", stop=stop_before(unit), **inputs
    )
    assert answer["state"] == "stopped"
    assert artifact.find_record() is None
    return root.storage.path(f"{artifact.attempt_folder('stopped')}/units")


def recomputed(root, inputs):
    calls = []
    root.done("extract", PARAMS, attempt="next", stop=counted(calls), **inputs)
    return len(calls)


def test_a_stopped_attempt_is_continued(root, pair):
    stopped_attempt(root, pair[0])
    assert recomputed(root, pair[0]) == 10


def test_a_finished_unit_with_a_flipped_bit_is_not_taken_over(root, pair):
    shard = stopped_attempt(root, pair[0]) / "000004" / "shard-000.safetensors"
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    shard.write_bytes(bytes(data))
    assert recomputed(root, pair[0]) == 11


def test_a_unit_without_its_marker_or_with_half_of_it_does_not_exist(root, pair):
    """Lesson 37: resumed by the ids of units, holes and all; counting would leave the holes."""
    units = stopped_attempt(root, pair[0])
    (units / "000000" / "UNIT.json").unlink()
    marker = units / "000001" / "UNIT.json"
    marker.write_bytes(marker.read_bytes()[:100])
    assert recomputed(root, pair[0]) == 12


def test_a_unit_of_other_prompts_is_not_taken_over(root, pair):
    marker = stopped_attempt(root, pair[0]) / "000002" / "UNIT.json"
    changed = json.loads(marker.read_text()) | {"token_plan": "0" * 64}
    marker.write_text(json.dumps(changed))
    assert recomputed(root, pair[0]) == 11


def test_units_cut_otherwise_are_not_mixed(root, pair):
    inputs = pair[0]
    stopped_attempt(root, inputs, unit=19)
    payload, artifact = root.payload("extract", PARAMS, "finer", inputs)
    payload = with_params(payload, unit_tokens=8)
    calls = []
    run.run(payload, Surroundings(stop_requested=counted(calls)))
    assert artifact.facts["store"]["num_units"] > 40
    num_rows = sum(
        json.loads(artifact.read(name))["rows"]["last"]
        for name in artifact.names("units")
        if name.endswith("UNIT.json")
    )
    assert num_rows == 48
