"""Names of data sets on the hub, and which files of them are taken."""

import pytest

from cluster.errors import UserError
from cluster.storage import Storage
from jobs.hub.repository import hub_data
from jobs.kinds.prompts import PromptsParams
from jobs.text.hub_data import as_on_hub, chosen_files, with_local_data

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = [
    ".gitattributes",
    "README.md",
    "LICENSE.txt",
    "data/test.parquet",
    "data/train.jsonl.gz",
    "data/notes.txt",
    "_hidden/a.csv",
    "dataset_infos.json",
    "load.py",
    "picture.png",
    "top.csv",
]


@pytest.mark.parametrize(
    ("source", "name", "revision", "path"),
    [
        ("hf://datasets/org/name", "org/name", None, ""),
        ("hf://datasets/org/name/", "org/name", None, ""),
        ("hf://datasets/org/name@v1.0/data/a.csv", "org/name", "v1.0", "data/a.csv"),
        (f"hf://datasets/o-1/n.2@{COMMIT}/data/", "o-1/n.2", COMMIT, "data"),
    ],
)
def test_a_source_names_a_data_set_a_revision_and_a_path(source, name, revision, path):
    data = hub_data(source)
    assert (data.repository.name, data.revision, data.path) == (name, revision, path)
    assert hub_data(data.at(COMMIT)).path == path
    assert data.commit({data.known_name: "f" * 40}) == (COMMIT if revision == COMMIT else "f" * 40)


@pytest.mark.parametrize(
    "source",
    ["hf://datasets/", "hf://datasets/name", "hf://datasets/o/n/../../x", "hf://datasets/o/n@"],
)
def test_what_names_no_data_set_is_refused(source):
    with pytest.raises(UserError, match="names no data set") as caught:
        hub_data(source)
    assert "hf://datasets/organisation/name" in caught.value.allowed


@pytest.mark.parametrize(
    ("path", "chosen"),
    [
        ("", ["data/test.parquet", "data/train.jsonl.gz", "data/notes.txt", "top.csv"]),
        ("/data", ["data/test.parquet", "data/train.jsonl.gz", "data/notes.txt"]),
        ("/top.csv", ["top.csv"]),
        ("/dat", []),
        ("/none.csv", []),
    ],
)
def test_rows_and_text_are_taken_and_nothing_else(path, chosen):
    assert chosen_files(hub_data(f"hf://datasets/org/name{path}"), FILES) == chosen


def test_a_worker_is_handed_the_name_on_the_hub_and_never_a_path_of_another_machine(tmp_path):
    root = Storage(tmp_path)
    files = f"hub/datasets/org--na--me/{COMMIT}/files"
    inside = str(root.path(f"{files}/a.csv"))
    params = {"source": [inside, str(tmp_path / "hub/other"), "/hub/datasets/x"], "format": "text"}
    named = as_on_hub(params, root)
    assert named["source"] == [f"hf://datasets/org/na--me@{COMMIT}/a.csv", *params["source"][1:]]
    assert as_on_hub({"source": str(root.path(files))}, root) == {
        "source": f"hf://datasets/org/na--me@{COMMIT}"
    }
    assert as_on_hub(params, Storage(tmp_path / "another")) == params


def test_a_worker_says_what_is_not_in_the_root(tmp_path):
    params = PromptsParams(format="text", source=(f"hf://datasets/org/name@{COMMIT}",))
    with pytest.raises(UserError, match="is not in the root") as caught:
        with_local_data(params, Storage(tmp_path))
    assert "deltascale fetch" in caught.value.hint
    here = PromptsParams(format="text", source=str(tmp_path / "a.txt"))
    assert with_local_data(here, Storage(tmp_path)) is here
