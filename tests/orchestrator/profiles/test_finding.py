"""Which profile `--on` means: by path, beside the study, in the user's own folder; never two."""

import pytest

from cluster.errors import UserError
from orchestrator.profiles.finding import find_profile

LOCAL = "kind: local\nroot: /results\n"


def test_a_profile_is_found_beside_the_study_in_the_own_folder_and_by_its_path(study, own):
    beside = study.parent / "profiles" / "box.yaml"
    beside.write_text(LOCAL)
    (own / "mine.yml").write_text(LOCAL)
    assert find_profile("box", [str(study)]).path == beside
    assert find_profile("mine", [str(study)]).path == own / "mine.yml"
    assert find_profile(str(beside), []).path == beside
    assert find_profile("mine", ["small"]).path == own / "mine.yml"


def test_profiles_here_count_as_beside_where_no_file_is_named(study, own, monkeypatch):
    (study.parent / "profiles" / "box.yaml").write_text(LOCAL)
    with pytest.raises(UserError, match="unknown profile 'box'"):
        find_profile("box", ["small"])
    monkeypatch.chdir(study.parent)
    for named in (["small"], ["small.yaml"], ["/elsewhere::small"], []):
        assert find_profile("box", named).name == "box"


def test_a_name_that_two_folders_have_is_refused_with_both(study, own):
    paths = [study.parent / "profiles" / "box.yaml", own / "box.yaml"]
    for path in paths:
        path.write_text(LOCAL)
    with pytest.raises(UserError) as fault:
        find_profile("box", [str(study)])
    for path in paths:
        assert str(path) in str(fault.value)
    assert f"--on {paths[0]}" in (fault.value.hint or "")
    assert find_profile(str(paths[1]), [str(study)]).path == paths[1]


def test_one_file_in_two_spellings_of_its_name_is_two(study):
    for suffix in ("yaml", "yml"):
        (study.parent / "profiles" / f"box.{suffix}").write_text(LOCAL)
    with pytest.raises(UserError, match="2 profiles 'box'"):
        find_profile("box", [str(study)])


def test_a_typo_gets_the_nearest_and_the_folders(study, own):
    (own / "hpc.yaml").write_text(LOCAL)
    with pytest.raises(UserError) as fault:
        find_profile("hcp", [str(study)])
    assert fault.value.allowed == ["hpc", "local", "ray"]
    assert fault.value.hint == "did you mean 'hpc'?"
    assert str(own) in str(fault.value) and str(study.parent / "profiles") in str(fault.value)


def test_a_path_that_is_not_there_gets_those_that_are(study):
    beside = study.parent / "profiles" / "box.yaml"
    beside.write_text(LOCAL)
    with pytest.raises(UserError) as fault:
        find_profile(str(beside.with_name("bix.yaml")), [])
    assert fault.value.allowed == [str(beside)]


@pytest.mark.parametrize("name", ["local", "ray"])
def test_some_kinds_need_no_file(study, name):
    chosen = find_profile(name, [str(study)])
    assert chosen.path is None and chosen.profile.kind == name


def test_a_file_that_is_called_like_another_kind_is_refused(study, own):
    (own / "ray.yaml").write_text(LOCAL)
    with pytest.raises(UserError) as fault:
        find_profile("ray", [str(study)])
    assert "'ray'" in fault.value.error and "'local'" in fault.value.error
    assert fault.value.where == f"{own / 'ray.yaml'}:1"
