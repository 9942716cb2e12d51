from cluster.executors.local import Executor as LocalExecutor
from orchestrator.records.lock import study_lock
from orchestrator.views.log_follower import follow, has_ended


def test_following_a_failed_job_prints_its_log_and_ends(launch, make_probe, root):
    job = make_probe(0, fail=True)
    launch([job])
    told = list(follow(root, "study", job))
    assert "told to fail" in "".join(text for _, text in told)


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
    assert next(following) == ("a-000001", "früher\n")
    root.write(f"{artifact.attempt_folder('a-000002')}/log.txt", b"later\n")
    assert list(following) == [("a-000002", "later\n")]


def test_a_log_that_lost_its_middle_is_followed_from_its_end(launch, make_probe, root):
    job = make_probe(0)
    name = f"{launch.artifact(job).attempt_folder('a-000001')}/log.txt"
    root.write(name, b"a long beginning\n")
    following = follow(root, "study", job)
    assert next(following) == ("a-000001", "a long beginning\n")
    root.write(name, b"short\n")
    assert list(following) == []
    root.write(name, b"a long beginning\n")
    following = follow(root, "study", job)
    next(following)
    root.write(name, b"short\n")
    with study_lock(root, "study", "a"):
        root.write(name, b"a long beginning\nand more\n")
        assert next(following) == ("a-000001", "and more\n")


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
    from orchestrator.dispatch.cancel_requests import ask_to_cancel

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
