"""Offline pieces sent by W&B's own `wandb sync` to a server on this machine, which may misbehave.

Not seen against W&B's own server: what this one keeps is what the client sent it.
"""

import os
import subprocess
import sys

import pytest

from cluster.errors import SurroundingsError
from jobs.mirror import client
from jobs.mirror.client import require_server, sending_environment
from jobs.mirror.pieces import pieces_in, unsent
from jobs.mirror.run_name import RunName
from jobs.mirror.sending import send, sending
from tests.jobs.mirror.wandb_server import WandbServer
from tests.wandb_files import inspect

ATTEMPT = """
import os, sys, time
from jobs.mirror.run_name import RunName
from jobs.worker.tracking import Tracker
folder, key, first, end, how = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
tracker = Tracker(RunName(root_id="r", key=key, study="s", kind="align", label=key, folder=folder,
                          config={"beta": 0.1}))
for step in range(first, end):
    tracker.log({"loss": 1.0 / (step + 1)}, axis="train/step", step=step)
if how == 9:
    time.sleep(1.1)  # the piece that follows begins in another second
    os.kill(os.getpid(), 9)
tracker.finish(how)
"""


def attempt(folder, key, first, end, how):
    """Make one attempt at a job in a process of its own: it ends with a code, or by SIGKILL."""
    words = [sys.executable, "-c", ATTEMPT, str(folder), key, str(first), str(end), str(how)]
    done = subprocess.run(words, timeout=120, env={**os.environ, "WANDB_MODE": "offline"})
    assert done.returncode == (-9 if how == 9 else 0)


@pytest.fixture
def server():
    at_work = WandbServer()
    yield at_work
    at_work.close()


@pytest.fixture
def login(server, tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    import wandb

    wandb.teardown()
    monkeypatch.setattr(client, "_is_imported", False)
    yield
    wandb.teardown()


def id_of(key):
    return RunName(
        root_id="r", key=key, study="s", kind="align", label=key, folder="", config={}
    ).id


def left_in(folder):
    runs = {run: unsent(pieces) for run, pieces in pieces_in(folder).items()}
    return {run: pieces for run, pieces in runs.items() if pieces}


@pytest.mark.slow
def test_pieces_of_a_run_join_with_rewound_steps_and_nothing_is_sent_twice(server, login, tmp_path):
    folder = tmp_path / "mirror"
    attempt(folder, "one", 0, 10, 0)
    attempt(folder, "one", 6, 15, 0)  # from the checkpoint of step 6: steps 6 to 9 come again
    attempt(folder, "two", 0, 3, 1)
    assert {run: len(pieces) for run, pieces in left_in(folder).items()} == {
        id_of("one"): 2,
        id_of("two"): 1,
    }
    send(left_in(folder), sending_environment())
    one, two = server.runs[id_of("one")], server.runs[id_of("two")]
    assert [row["train/step"] for row in one["rows"]] == [*range(10), *range(6, 15)]
    # W&B drops rows whose own step goes back: its client lets it go on where the last piece ended.
    assert [row["_step"] for row in one["rows"]] == list(range(19))
    assert one["ends"] == [0, 0] and two["ends"] == [1]
    assert left_in(folder) == {}
    opened = one["opened"]
    send(left_in(folder), sending_environment())
    assert (len(one["rows"]), one["opened"]) == (19, opened)


@pytest.mark.slow
def test_a_piece_that_a_kill_cut_off_is_sent_as_failed_and_never_runs_for_ever(
    server, login, tmp_path
):
    folder = tmp_path / "mirror"
    attempt(folder, "one", 0, 3000, 9)  # W&B writes in blocks: of so many rows, most are on disk
    attempt(folder, "two", 0, 1, 9)  # of which nothing is
    assert len(list(folder.glob("wandb/offline-*"))) == 2
    ((piece,),) = left_in(folder).values()  # what is empty is no piece
    os.truncate(piece.file, piece.bytes - 3)  # a kill may tear the last record
    assert inspect(piece.file, "--summary")["state"] == "running"  # on disk, for ever
    send(left_in(folder), sending_environment())
    one = server.runs[id_of("one")]
    assert [row["train/step"] for row in one["rows"]] == list(range(len(one["rows"])))
    assert len(one["rows"]) > 1000 and one["ends"] == [1]
    assert left_in(folder) == {} and id_of("two") not in server.runs


@pytest.mark.slow
def test_a_server_that_takes_nothing_of_one_run_ends_it_and_the_rest_is_kept_as_sent(
    server, login, tmp_path
):
    folder = tmp_path / "mirror"
    attempt(folder, "one", 0, 3, 0)
    attempt(folder, "two", 0, 3, 0)
    server.breaks = lambda run: run == id_of("one")
    with pytest.raises(SurroundingsError, match="1 of 2 pieces of runs are not sent") as fault:
        send(left_in(folder), sending_environment(), stalls_after_s=8.0)
    assert "the same command goes on from here" in str(fault.value.hint)
    assert list(left_in(folder)) == [id_of("one")]
    server.breaks = lambda run: False
    send(left_in(folder), sending_environment())
    rows = server.runs[id_of("one")]["rows"]
    assert [row["train/step"] for row in rows] == [0, 1, 2]
    assert len(server.runs[id_of("two")]["rows"]) == 3


@pytest.mark.slow
def test_a_file_that_cannot_be_read_keeps_no_other_from_being_sent(server, login, tmp_path):
    folder = tmp_path / "mirror"
    attempt(folder, "one", 0, 3, 0)
    place = folder / "wandb/offline-run-20260101_000000-bad"
    place.mkdir()
    (place / "run-bad.wandb").write_bytes(b"torn by a crash of the machine")
    with pytest.raises(SurroundingsError, match="1 of 2 pieces of runs are not sent") as fault:
        send(left_in(folder), sending_environment())
    assert "run-bad.wandb" in fault.value.where
    assert len(server.runs[id_of("one")]["rows"]) == 3


def test_only_one_sends_at_a_time(tmp_path):
    with (
        sending(tmp_path),
        pytest.raises(SurroundingsError, match="another `deltascale sync`"),
        sending(tmp_path),
    ):
        pass
    with sending(tmp_path):
        pass


def test_no_login_and_a_server_that_is_away_are_said_before_anything_is_sent(
    server, login, tmp_path, monkeypatch
):
    assert require_server() == server.url
    server.close()
    with pytest.raises(SurroundingsError, match="is away"):
        require_server()


def test_what_names_a_run_or_a_mode_is_not_given_to_who_sends(login, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_RUN_ID", "theirs")
    given = sending_environment()
    assert "WANDB_MODE" not in given and "WANDB_RUN_ID" not in given
    assert given["WANDB_API_KEY"] == "0" * 40


def test_pieces_are_told_apart_and_links_are_none(tmp_path):
    folder = tmp_path / "wandb"
    for place, run in (
        ("offline-run-20260101_000002-abc", "abc"),
        ("run-20260101_000001-abc", "abc"),
        ("run-20260101_000003-abc", "abc"),
        ("run-20260101_000001-xyz", "xyz"),
        ("offline-run-20260101_000005-xyz", "xyz"),
    ):
        (folder / place).mkdir(parents=True)
        (folder / place / f"run-{run}.wandb").write_bytes(b"no header of W&B's")
    (folder / "latest-run").symlink_to("run-20260101_000003-abc")
    (folder / "offline-run-20260101_000009-lnk").symlink_to("run-20260101_000003-abc")
    runs = pieces_in(tmp_path)
    assert [piece.began[-1] for piece in runs["abc"]] == ["1", "2", "3"]
    # What later pieces have overtaken online, W&B would drop: the last one alone is sent again.
    assert [piece.began[-1] for piece in unsent(runs["abc"])] == ["2", "3"]
    assert [piece.began[-1] for piece in unsent(runs["xyz"])] == ["5"]
    (folder / "offline-run-20260101_000005-xyz" / "run-xyz.wandb.synced").touch()
    assert unsent(pieces_in(tmp_path)["xyz"]) == []
