import os

import pytest

from cluster.errors import UserError
from orchestrator.study.study_file import parse_scalar, parse_study_file, read_study_file


def refused(text: str) -> UserError:
    with pytest.raises(UserError) as caught:
        parse_study_file(text, "s.yaml")
    return caught.value


def test_scalars_follow_yaml_1_2():
    text = "a: 1e-6\nb: no\nc: 010\nd: 2024-01-02\ne: 12:30\nf: true\ng:\nh: '1'\ni: -3\n"
    data = parse_study_file(text, "s.yaml").data
    assert data == {
        "a": 1e-6, "b": "no", "c": 10, "d": "2024-01-02", "e": "12:30",
        "f": True, "g": None, "h": "1", "i": -3,
    }  # fmt: skip
    assert isinstance(data["a"], float)


def test_every_key_and_item_knows_its_line():
    file = parse_study_file("a:\n  b: 1\n  c:\n    - x\n    - {y: 2}\n", "s.yaml")
    assert file.where("a", "b") == "s.yaml:2"
    assert file.where("a", "c", 1, "y") == "s.yaml:5"


def test_a_place_that_is_not_there_gets_the_line_of_what_is_around_it():
    file = parse_study_file("a:\n  b: 1\n", "s.yaml")
    assert file.where("a", "b", "deeper", 3) == "s.yaml:2"
    assert file.where("nothing") == "s.yaml:1"


def test_a_key_written_twice_is_refused_with_both_lines():
    fault = refused("a: 1\nb:\n  x: 1\n  x: 2\n")
    assert fault.where == "s.yaml:4:3"
    assert "'x' is written twice (first on line 3)" in fault.error


def test_a_merge_key_is_named_and_its_text_is_a_key():
    fault = refused("a: &a {x: 1}\nb: {<<: *a, y: 2}\n")
    assert fault.where == "s.yaml:2:5" and "YAML 1.1" in fault.error
    assert parse_study_file('a: {"<<": 1}\n', "s.yaml").data == {"a": {"<<": 1}}


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("a: [1, 2\nb: 3\n", "s.yaml:2:2"),
        ("a: 1\n\tb: 2\n", "s.yaml:2:1"),
        ("a: b: c\n", "s.yaml:1:5"),
    ],
)
def test_what_is_not_yaml_says_line_and_column(text, where):
    fault = refused(text)
    assert fault.error.startswith("not YAML")
    assert fault.where == where


def test_two_documents_are_refused():
    assert "not YAML" in refused("a: 1\n---\nb: 2\n").error


@pytest.mark.parametrize("text", ["a: !!python/object:os.system x\n", "a: !own {b: 1}\n"])
def test_tags_are_refused(text):
    assert "not allowed" in refused(text).error


def test_an_anchor_that_contains_itself_is_refused():
    assert "contains itself" in refused("a: &x [*x]\n").error


def test_an_anchor_can_be_used_in_several_places():
    assert parse_study_file("a: &x {b: 1}\nc: *x\n", "s.yaml").data["c"] == {"b": 1}


@pytest.mark.parametrize(
    "secret",
    [
        "https://me:hunter2@host/data.jsonl",
        "https://host/data?token=abc",
        "https://tokenWithoutName@host/data",
        "https://me:hunter2/slash@host/data",
        "https://host/data?X-Amz-Signature=abc",
        "hf_" + "a" * 34,
        "AKIA" + "B" * 16,
    ],
)
def test_what_looks_like_a_secret_is_refused_without_being_repeated(secret):
    fault = refused(f"a: 1\nsource: {secret}\n")
    assert fault.where == "s.yaml:2"
    assert secret not in str(fault)


def test_a_revision_after_a_name_on_the_hub_is_no_secret():
    text = "a: hf://org/name@main\nb: https://host:8080/a@b\n"
    assert parse_study_file(text, "s.yaml").data["a"] == "hf://org/name@main"


def test_a_file_that_may_not_be_read_is_refused_with_the_reason(tmp_path, monkeypatch):
    def refuse(path, flags):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("orchestrator.study.study_file.os.open", refuse)
    with pytest.raises(UserError, match="cannot be read: Permission denied") as caught:
        read_study_file(tmp_path / "s.yaml")
    assert caught.value.where == str(tmp_path / "s.yaml")


def test_a_missing_file_a_folder_and_bytes_that_are_not_utf8_are_refused(tmp_path):
    (tmp_path / "bytes.yaml").write_bytes(b"a: 1\nb: \xff\n")
    for name in ("missing.yaml", ".", "bytes.yaml"):
        with pytest.raises(UserError) as caught:
            read_study_file(tmp_path / name)
        assert str(tmp_path) in str(caught.value.where)
    assert str(caught.value.where).endswith("bytes.yaml:2")


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-6", 1e-6), ("3", 3), ("true", True), ("dpo", "dpo"), ("1.5.2", "1.5.2")],
)
def test_a_scalar_on_the_command_line_reads_as_in_a_file(text, value):
    assert parse_scalar(text) == value


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("a: &a [x, x]\n" + "".join(f"{i}: &a [*a, *a, *a, *a]\n" for i in range(20)), "200,000"),
        ("a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
            f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 10)), "aliases"),
        ("[" * 60_000, "50 levels"),
        ("{" * 60_000, "50 levels"),
        ("- " * 60_000, "50 levels"),
        ("[" * 51 + "]" * 51, "50 levels"),
        ("a: [" + "x, " * 200_000 + "x]", "200,000"),
        ("# " + "x" * 5_000_000, "4 MiB"),
    ],
    ids=["reused-anchor", "bomb", "lists", "mappings", "blocks", "closed", "wide", "large"],
)  # fmt: skip
def test_a_text_that_would_take_all_memory_is_refused_before_it_is_read(tmp_path, text, error):
    (tmp_path / "s.yaml").write_text(text)
    with pytest.raises(UserError, match=error):
        read_study_file(tmp_path / "s.yaml")


def test_nesting_and_aliases_within_bounds_are_read():
    assert parse_study_file("[" * 50 + "]" * 50, "s.yaml").data is not None
    assert parse_study_file("a: &a [1, 2]\nb: [*a, *a]\n", "s.yaml").data["b"] == [[1, 2], [1, 2]]


@pytest.mark.parametrize("text", ["1e999", "-1e999", "1" * 400 + ".5", "9" * 20, "1" * 5000])
def test_a_number_that_no_computer_holds_is_refused(text):
    assert refused(f"a: 1\nb: {text}\n").where == "s.yaml:2:4"


@pytest.mark.parametrize(
    ("text", "value"), [("0" * 5000 + "7", 7), ("-" + "9" * 19, -(10**19) + 1), ("1e-999", 0.0)]
)
def test_a_long_spelling_of_a_number_is_read(text, value):
    assert parse_study_file(f"a: {text}", "s.yaml").data["a"] == value


def test_half_a_character_is_refused():
    assert "surrogate" in refused("a: \ud83d").error


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "s.yaml")
    with pytest.raises(UserError, match="not a regular file"):
        read_study_file(tmp_path / "s.yaml")
