import os
import time

import pytest

from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact
from jobs.artifacts.claim import Busy, claimed


@pytest.fixture
def artifact(tmp_path):
    return Artifact(Storage(tmp_path), "probe", "a" * 64)


def test_a_claim_is_held_by_one_at_a_time_and_free_afterwards(artifact):
    with claimed(artifact), pytest.raises(Busy), claimed(artifact):
        pass
    with claimed(artifact):
        pass


def test_claims_on_two_jobs_do_not_meet(artifact):
    other = Artifact(artifact.storage, "probe", "b" * 64)
    with claimed(artifact), claimed(other):
        pass


def test_a_holder_without_a_sign_of_life_for_a_minute_blocks_nobody(artifact):
    with claimed(artifact):
        long_ago = time.time() - 61
        os.utime(artifact.storage.path(f"{artifact.folder}/claim"), (long_ago, long_ago))
        with claimed(artifact):
            pass


def test_a_root_without_locks_has_no_claims(tmp_path):
    artifact = Artifact(Storage(f"memory://{tmp_path.name}"), "probe", "a" * 64)
    with claimed(artifact), claimed(artifact):
        pass


def test_attempts_that_share_a_job_hold_its_claim_together(artifact):
    with claimed(artifact, shared=True), claimed(artifact, shared=True):
        pass


def test_whoever_wants_a_shared_job_alone_is_kept_out_and_the_other_way_round(artifact):
    with claimed(artifact, shared=True), pytest.raises(Busy), claimed(artifact):
        pass
    with claimed(artifact), pytest.raises(Busy), claimed(artifact, shared=True):
        pass
