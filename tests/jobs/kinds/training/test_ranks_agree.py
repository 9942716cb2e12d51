"""The ranks of one job begin together and end together, whatever the first one finds."""

from jobs.claim import claimed


def states(answers):
    return [answer["state"] for answer in answers]


def test_the_first_rank_publishes_and_all_of_them_reuse_what_it_published(root):
    first = root.run_ranks("job", "probe", {})
    again = root.run_ranks("job", "probe", {}, attempt="2")
    assert states(first) == ["done", "done"]
    assert states(again) == ["reused", "reused"]
    artifact = root.artifact("job")
    assert artifact.record.attempt == "1"
    assert not [name for name in artifact.record.files if name.startswith("log")]
    folder = artifact.storage.path(artifact.attempt_folder("1"))
    assert {file.name for file in folder.glob("log*")} == {"log.txt", "log-rank-1.txt"}


def test_no_rank_begins_where_another_attempt_is_at_work(root):
    root.spec("job", "probe", {}, {}, "1")
    with claimed(root.artifact("job")):
        assert states(root.run_ranks("job", "probe", {})) == ["busy", "busy"]
    assert root.artifact("job").attempts() == []
