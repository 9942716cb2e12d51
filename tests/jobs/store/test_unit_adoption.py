"""What is taken over of other attempts: one test for each way in which others took too much."""

import json
import os

import numpy as np
import pytest

from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact, FileEntry, digest_bytes
from jobs.store.store_layout import MARKER, UNITS
from jobs.store.unit_adoption import adopt_unit, is_finished
from jobs.store.unit_writer import RowBlock, UnitWriter
from jobs.tokens.batches import Unit
from jobs.worker.attempt_folder import AttemptFolder

UNIT = Unit(number=3, group=1, members=np.arange(5), num_tokens=40)
PLACE = f"{UNITS}/{UNIT.name}"
FILES = [MARKER, "shard-000.safetensors", "shard-001.safetensors"]


@pytest.fixture(params=["local", "memory"])
def attempt(request, tmp_path):
    """A function: id -> that attempt at one job, on a disk or on a remote root."""
    urls = {"local": str(tmp_path / "root"), "memory": f"memory://{tmp_path.name}-adoption"}
    artifact = Artifact(Storage(urls[request.param]), "extract", "e" * 64)
    return lambda name: AttemptFolder(artifact, name)


def leave(attempt, damage=lambda place: None, plan="plan"):
    """Write the unit in two shards, damage it, and publish it; returns where it lies here."""
    writer = UnitWriter(attempt.path / UNITS, UNIT, plan, shard_bytes=500)
    rows = {("resid_mid", 0): np.arange(160, dtype=np.float32).reshape(20, 8)}
    tokens = np.arange(20)
    writer.add(RowBlock(label="all", tokens=tokens, reservoir=tokens < 4, rows=rows))
    writer.finish({}, {"from": attempt.attempt})
    place = attempt.path / PLACE
    assert sorted(path.name for path in place.iterdir()) == FILES
    damage(place)
    attempt.publish(PLACE)
    return place


def adopts(attempt, others=None, plan="plan"):
    return adopt_unit(attempt, attempt.others() if others is None else others, UNIT, plan)


def test_a_whole_unit_is_taken_over_and_listed_unread(attempt):
    leave(attempt("a"))
    own = attempt("b")
    assert adopts(own)
    assert list(own.seal()) == [f"{PLACE}/{file}" for file in FILES]
    for name, entry in own.seal().items():
        data = own.artifact.storage.read(f"{own.name}/{name}")
        assert data == attempt("c").read_other("a", name)
        assert entry == FileEntry(bytes=len(data), xxh3=digest_bytes(data))


def no_marker(place):
    (place / MARKER).unlink()


def half_a_marker(place):
    (place / MARKER).write_bytes((place / MARKER).read_bytes()[:100])


def no_shard(place):
    (place / FILES[1]).unlink()


def cut_short(place):
    os.truncate(place / FILES[1], (place / FILES[1]).stat().st_size - 1)


def longer(place):
    (place / FILES[2]).write_bytes((place / FILES[2]).read_bytes() + b"\0")


def a_marker_without_shards(place):
    marker = json.loads((place / MARKER).read_bytes())
    (place / MARKER).write_text(json.dumps(marker | {"shards": None}))


def a_list_for_a_marker(place):
    (place / MARKER).write_text("[]")


@pytest.mark.parametrize(
    "damage",
    [no_marker, half_a_marker, no_shard, cut_short, longer, a_marker_without_shards]
    + [a_list_for_a_marker],
)
def test_what_exists_is_not_what_is_complete(attempt, damage):
    """Lesson 34: existence is not completeness."""
    leave(attempt("a"), damage)
    own = attempt("b")
    assert not adopts(own)
    assert own.seal() == {}


def flipped(place):
    data = (place / FILES[1]).read_bytes()
    (place / FILES[1]).write_bytes(data[:-5] + bytes([data[-5] ^ 1]) + data[-4:])


def swapped(place):
    first, second = (place / file for file in FILES[1:])
    data = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(data)


@pytest.mark.parametrize("damage", [flipped, swapped])
@pytest.mark.parametrize("attempt", ["local"], indirect=True)
def test_a_size_is_no_digest(attempt, damage):
    """Lesson 34: existence is not completeness, and neither is a size."""
    leave(attempt("a"), damage)
    assert is_finished(attempt("b"), "a", UNIT, "plan")  # as far as its marker says
    assert not adopts(attempt("b"))


@pytest.mark.parametrize("field", ["token_plan", "members", "unit", "group", "num_prompts"])
def test_a_unit_of_something_else_is_not_taken_over(attempt, field):
    """Lesson 37: what is resumed is named by its id, plan and prompts, not by a count."""

    def changed(place):
        marker = json.loads((place / MARKER).read_bytes())
        (place / MARKER).write_text(json.dumps(marker | {field: "another"}))

    leave(attempt("a"), changed)
    assert not is_finished(attempt("b"), "a", UNIT, "plan")
    assert not adopts(attempt("b"))


def test_files_that_no_marker_lists_are_never_taken_over(attempt):
    """Neither what an earlier writer left there, nor what lies in our own folder from a try."""

    def littered(place):
        (place / "shard-007.safetensors").write_bytes(b"from an earlier writer")
        (place / "shard-001.safetensors.tmp").write_bytes(b"half")

    leave(attempt("a"), littered)
    own = attempt("b")
    leave(own, littered)
    assert adopts(own)
    assert list(own.seal()) == [f"{PLACE}/{file}" for file in FILES]


def test_of_several_attempts_the_latest_whole_one_is_taken(attempt):
    for name in ("1", "2", "3"):
        leave(attempt(name), half_a_marker if name == "3" else lambda place: None)
    assert adopts(attempt("0"))
    marker = json.loads(attempt("4").read_other("0", f"{PLACE}/{MARKER}"))
    assert marker["from"] == "2"


@pytest.mark.parametrize("attempt", ["local"], indirect=True)
def test_on_a_disk_it_is_linked_and_where_names_cannot_be_linked_copied(attempt, monkeypatch):
    source = leave(attempt("a"))
    assert adopts(attempt("b"))
    linked = attempt("b").path / PLACE
    assert all((linked / file).samefile(source / file) for file in FILES)

    def refused(*_):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refused)
    assert adopts(attempt("c"), ["b"])
    copied = attempt("c").path / PLACE
    assert not any((copied / file).samefile(source / file) for file in FILES)
    assert adopts(attempt("d"), ["c"])
