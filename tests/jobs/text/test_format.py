import pytest

from cluster.errors import UserError
from jobs.text import format
from jobs.text.buckets import group_of
from jobs.text.format import Reading
from jobs.text.source_check import local_path


def test_a_format_that_does_not_hold_what_is_asked_names_those_that_do(tmp_path):
    with pytest.raises(UserError, match="'text' holds no preference pairs") as caught:
        format.read("pairs", "text", tmp_path, {})
    assert caught.value.allowed == [
        "hh-rlhf",
        "messages",
        "nursery",
        "paradetox",
        "pplm",
        "prompt-chosen-rejected",
    ]


def test_an_unknown_option_names_the_nearest():
    with pytest.raises(UserError, match="unknown option 'min_word'") as caught:
        format.read("texts", "text", None, {"min_word": 3})
    assert caught.value.hint == "did you mean 'min_words'?"
    assert caught.value.where == "format text"


def test_an_option_of_the_wrong_value_says_what_is_allowed():
    with pytest.raises(UserError, match="option held_out: input should be less than 1"):
        format.read("texts", "text", None, {"held_out": 2})


def test_a_missing_source_names_the_nearest_file(tmp_path):
    (tmp_path / "pairs.jsonl").touch()
    with pytest.raises(UserError) as caught:
        format.source_of("pplm", tmp_path / "pair.jsonl")
    assert caught.value.hint == "did you mean 'pairs.jsonl'?"


@pytest.mark.parametrize("folder", [True, False])
def test_a_file_is_no_folder_and_a_folder_no_file(tmp_path, folder):
    file = tmp_path / "a.txt"
    file.touch()
    with pytest.raises(UserError, match="this is not one"):
        format.source_of("pplm", file if folder else tmp_path, folder=folder)


def test_a_format_that_needs_a_source_says_so():
    with pytest.raises(UserError, match="needs a source"):
        format.source_of("pplm", None)


@pytest.mark.parametrize("returned", [["a"], Reading(items=["a"]), None])
def test_an_own_format_that_returns_something_else_is_named(returned, monkeypatch):
    form = type(format.FORMATS.find("nursery"))
    monkeypatch.setattr(form, "read_prompts", lambda self, source, options: returned)
    with pytest.raises(UserError, match="no Reading of Prompt") as caught:
        format.read("prompts", "nursery", None, {})
    assert caught.value.where == "format nursery"


def test_groups_never_move():
    """Pinned: a moved group would make artifacts of two versions look comparable."""
    assert [group_of(text) for text in ("", "a", "prompt")] == [18, 19, 1]


@pytest.mark.parametrize(
    ("pointer", "told"),
    [("pairs.jsonl.dvc", "dvc pull pairs.jsonl.dvc"), (".pairs.jsonl.icloud", "brctl download")],
)
def test_a_pointer_beside_a_missing_source_says_how_to_get_it(tmp_path, pointer, told):
    (tmp_path / pointer).write_text("outs: []\n")
    with pytest.raises(UserError, match="no such file or folder") as caught:
        format.source_of("text", tmp_path / "pairs.jsonl")
    assert f"{pointer} is a pointer to it: get the file by cd" in caught.value.hint
    assert told in caught.value.hint


def test_a_missing_source_in_no_folder_may_be_a_data_set_of_the_hub(tmp_path):
    with pytest.raises(UserError) as caught:
        format.source_of("text", tmp_path / "organisation" / "name")
    assert caught.value.hint == "a data set of the hub is written hf://datasets/organisation/name"


@pytest.mark.parametrize(
    "address",
    [
        "https://huggingface.co/datasets/organisation/a-name_1.0",
        "https://hf.co/datasets/organisation/a-name_1.0/",
        "hf://organisation/a-name_1.0",
    ],
)
def test_the_address_of_a_data_set_of_the_hub_is_answered_with_its_source(address):
    with pytest.raises(UserError, match="not from an address") as caught:
        local_path(address)
    assert caught.value.hint == "write hf://datasets/organisation/a-name_1.0"
