"""The ranks of one job begin together and end together, whatever the first one finds."""

from jobs.artifacts.claim import claimed


def states(answers):
    return [answer["state"] for answer in answers]


def test_all_ranks_do_what_the_first_one_finds_there_is_to_do(root):
    first, again = (root.Job(name="job", kind="probe", params={}, attempt=n) for n in "12")
    other = root.Job(name="taken", kind="probe", params={})
    root.payload("probe", {}, "1", {}, name="taken")[0]
    with claimed(root.artifact("taken")):
        done, reused, busy = root.run_jobs_on_ranks([first, again, other])
    assert states(done) == ["done", "done"]
    assert states(reused) == ["reused", "reused"]
    assert states(busy) == ["busy", "busy"]
    assert root.artifact("taken").attempts() == []
    artifact = root.artifact("job")
    assert artifact.record.attempt == "1"
    assert not [name for name in artifact.record.files if name.startswith("log")]
    folder = artifact.storage.path(artifact.attempt_folder("1"))
    assert {file.name for file in folder.glob("log*")} == {"log.txt", "log-rank-1.txt"}
