"""What a profile of somebody else's does is asked about once, as it stands."""

import pytest

from cluster.errors import UserError
from cluster.storage import Storage
from orchestrator.permission.profiles import require_permitted_profile

USES = ["runs the line 'module load x'"]


@pytest.fixture
def profile(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("DELTASCALE_CONFIG", raising=False)
    path = tmp_path / "lab" / "profiles" / "hpc.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("kind: local\n")
    return path


def permit(profile, *, ask=None, uses=USES):
    root = Storage(profile.parents[1] / "results")
    require_permitted_profile(profile, profile.read_text(), uses, root, ask)


def test_without_anybody_to_ask_it_is_refused_with_the_lines_to_write(profile, tmp_path):
    with pytest.raises(UserError) as fault:
        permit(profile)
    assert USES[0] in fault.value.error and fault.value.where == str(profile)
    assert f"profiles: [{profile}]" in (fault.value.hint or "")
    written = tmp_path / "config" / "deltascale" / "config.yaml"
    written.parent.mkdir(parents=True)
    written.write_text(f"profiles: [{profile}]\n")
    permit(profile)


def test_what_does_nothing_needs_no_permission(profile):
    permit(profile, uses=[])


def test_an_answer_holds_for_the_profile_as_it_stood(profile):
    questions = []

    def ask(question):
        questions.append(question)
        return True

    permit(profile, ask=ask)
    permit(profile, ask=ask)
    permit(profile)  # nobody to ask, and nothing to ask
    assert len(questions) == 1 and USES[0] in questions[0] and str(profile) in questions[0]
    profile.write_text("kind: local\n# another\n")
    permit(profile, ask=ask)
    assert len(questions) == 2
    profile.write_text("kind: local\n# a third\n")
    with pytest.raises(UserError, match="you did not allow"):
        permit(profile, ask=lambda question: False)
    with pytest.raises(UserError, match="nobody can be asked"):
        permit(profile)


def test_the_own_folder_is_believed_while_nobody_else_may_write_it(profile, tmp_path):
    own = tmp_path / "config" / "deltascale" / "profiles" / "hpc.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("kind: local\n")
    permit(own)
    own.chmod(0o666)
    with pytest.raises(UserError, match="other users may write this file"):
        permit(own)


def test_a_link_in_the_own_folder_is_what_it_leads_to(profile, tmp_path):
    link = tmp_path / "config" / "deltascale" / "profiles" / "hpc.yaml"
    link.parent.mkdir(parents=True)
    link.symlink_to(profile)
    with pytest.raises(UserError, match="nobody can be asked"):
        permit(link)
