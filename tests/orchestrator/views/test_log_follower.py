import json
import uuid

import pytest

from cluster.executors.local import Executor as LocalExecutor
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact
from orchestrator.cli import main
from orchestrator.records.lock import study_lock
from orchestrator.views.log_follower import Piece, follow, has_ended


def piece(attempt, text, rank=0):
    return Piece(attempt=attempt, rank=rank, text=text)


def test_following_a_failed_job_prints_its_log_and_ends(launch, make_probe, root):
    job = make_probe(0, fail=True)
    launch([job])
    told = list(follow(root, "study", job))
    assert "told to fail" in "".join(piece.text for piece in told)


def test_a_failed_job_has_ended_though_its_launch_goes_on(launch, make_probe, root):
    bad, waiting = make_probe(0, fail=True), make_probe(1)
    launch([bad])
    with study_lock(root, "study", "goes-on"):
        assert has_ended(root, "study", bad)
        assert not has_ended(root, "study", waiting)
    assert has_ended(root, "study", waiting)


def test_an_attempt_of_another_study_of_the_root_is_followed_too(launch, make_probe, root):
    job = make_probe(0)
    root.write(f"{launch.artifact(job).attempt_folder('theirs-000001')}/log.txt", b"working\n")
    with study_lock(root, "another", "theirs"):
        assert not has_ended(root, "study", job)
    assert has_ended(root, "study", job)


def test_following_moves_on_to_the_newer_attempt(launch, make_probe, root):
    job = make_probe(0)
    artifact = launch.artifact(job)
    root.write(f"{artifact.attempt_folder('a-000001')}/log.txt", "früher\n".encode())
    following = follow(root, "study", job)
    assert next(following) == piece("a-000001", "früher\n")
    root.write(f"{artifact.attempt_folder('a-000002')}/log.txt", b"later\n")
    root.write(f"{artifact.attempt_folder('a-000001')}/log.txt", "früher\nzu Ende\n".encode())
    assert list(following) == [piece("a-000001", "zu Ende\n"), piece("a-000002", "later\n")]


@pytest.mark.parametrize("kind", ["local", "remote"])
def test_a_log_that_was_cut_is_followed_after_what_was_shown_of_it(kind, make_probe, tmp_path):
    root = Storage(tmp_path if kind == "local" else f"memory://{uuid.uuid4().hex}")
    job = make_probe(0)
    name = f"{Artifact(root, job.kind, job.key).attempt_folder('a-000001')}/log.txt"
    root.write(name, b"head\n" + b"middle\n" * 99 + b"seen\n")
    following = follow(root, "study", job, sleep=lambda seconds: root.write(name, shown.pop(0)))
    shown = [b"head\n[...]\n" + b"middle\n" * 40 + b"seen\nnew\n", b"another file\n"]
    with study_lock(root, "study", "a"):
        assert next(following).text.endswith("seen\n")
        assert next(following) == piece("a-000001", "new\n")
        assert next(following) == piece("a-000001", "another file\n")
    assert list(following) == []


def test_ranks_are_told_apart_and_each_is_shown_in_whole_lines(launch, make_probe, root):
    job = make_probe(0)
    folder = launch.artifact(job).attempt_folder("a-000001")
    root.write(f"{folder}/log.txt", b"one\nhal")
    root.write(f"{folder}/log-rank-1.txt", b"eins\n")
    assert list(follow(root, "study", job, rank=1)) == [piece("a-000001", "eins\n", rank=1)]

    assert list(follow(root, "study", job, rank=None)) == [
        piece("a-000001", "one\n"),
        piece("a-000001", "eins\n", rank=1),
        piece("a-000001", "hal"),
    ]


def test_logs_of_a_gang_are_printed_by_rank_and_a_rank_without_one_is_refused(
    tmp_path, root, capsys
):
    study = tmp_path / "one.yaml"
    study.write_text("study: one\nstages: {p: {kind: probe, params: {index: 1}}}\n")
    words = ["one", "p", "--root", root.url]
    assert main(["launch", str(study), "--root", root.url, "--executor", "local"]) == 0
    log = next(name for name in root.walk("artifacts") if name.endswith("/log.txt"))
    root.write(log.replace("log.txt", "log-rank-1.txt"), b"from one\n")
    capsys.readouterr()

    assert main(["logs", *words, "--rank", "1"]) == 0
    assert capsys.readouterr().out == "from one\n"
    for more in ([], ["--follow"]):
        assert main(["logs", *words, *more]) == 0
        assert "[rank 1] from one\n" in capsys.readouterr().out
    root.write(log.replace("log.txt", "log-rank-1.txt"), b"\x1b]0;x\x07\x1b[2J\xc2\x9b1m\r 9%\r\n")
    for more in (["--rank", "1"], [], ["--follow"]):  # nothing commands the terminal, or hides
        assert main(["logs", *words, *more]) == 0
        shown = capsys.readouterr().out
        assert " 9%\n" in shown and shown.replace("\n", "").isprintable()
    root.write(log.replace("log.txt", "log-rank-1.txt"), b"from one\n")
    assert main(["logs", *words, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [one["rank"] for one in answer["ranks"]] == [0, 1]
    assert answer["log"] == answer["ranks"][0]["log"] and answer["ranks"][1]["log"] == "from one\n"
    assert main(["logs", *words, "--rank", "2", "--json"]) == 2
    refused = json.loads(capsys.readouterr().out)
    assert (refused["code"], refused["allowed"]) == ("invalid-option", ["0", "1"])


def test_a_stale_record_that_another_launch_made_again_meanwhile_is_kept(launch, make_probe, root):
    """While the first job runs, another launch makes the stale one again."""
    first, stale = make_probe(0), make_probe(1)
    launch([stale])

    class Elsewhere(LocalExecutor):
        def capacity(self):
            artifact = launch.artifact(stale)
            before = artifact.record_bytes()
            root.write(artifact.record_name, before.replace(b'"seconds"', b' "seconds"'))
            return super().capacity()

    report = launch([first, stale], stale={stale.key}, executor=Elsewhere())

    assert report.ran == [first.key]
    assert report.reused == [stale.key]


def test_a_record_is_left_alone_while_somebody_is_at_its_job(launch, make_probe, root):
    from jobs.artifacts.claim import claimed
    from orchestrator.dispatch.requests import ask_to_cancel

    job = make_probe(0)
    artifact = launch.artifact(job)
    root.write(artifact.record_name, b"{ half a rec")

    class Looks(LocalExecutor):
        """Ends the launch after the first attempt."""

        def wait(self, timeout_s):
            ask_to_cancel(root, "study", None)
            return super().wait(timeout_s)

    with claimed(artifact):
        launch([job], executor=Looks())
        assert artifact.record_bytes() == b"{ half a rec"
