import contextlib
import json
import os
import shutil
import tempfile
from argparse import Namespace
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import pytest

from cluster.errors import SurroundingsError, UserError
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact, FileEntry, Record
from jobs.artifacts.claim import claimed
from jobs.extraction.spool import CACHE
from orchestrator.records import garbage
from orchestrator.records.garbage import Collector
from orchestrator.records.launched_studies import known_studies
from orchestrator.records.lock import study_lock
from orchestrator.records.root_file import root_id
from orchestrator.verbs import gc


@pytest.fixture
def root(tmp_path):
    """One launched study, and one artifact that it does not ask for."""
    root = Storage(tmp_path)
    root_id(root)
    index = {"stages": {"probes": [{"cell": {}, "key": "a" * 64, "kind": "probe"}]}}
    root.write("studies/one/index.json", json.dumps(index).encode())
    root.write(f"artifacts/probe/{'b' * 16}/job.json", b"{}")
    return root


def collect(root, **options):
    return gc.run(Namespace(**{"root": root.url, "json": False, "apply": True, **options}))


def left_in(root):
    collector = Collector(root)
    list(collector.find())
    return {item.name: item.why for item in collector.left}


@pytest.mark.parametrize("damaged", [b"{ half", b"{}", b"[]", b'{"stages": {"a": [{"key": 1}]}}'])
def test_a_damaged_index_stops_the_collection_before_anything_is_deleted(root, damaged):
    root.write("studies/two/index.json", damaged)
    with pytest.raises(SurroundingsError, match=r"studies/two/index\.json"):
        list(Collector(root).find())
    with pytest.raises(SurroundingsError):
        collect(root)
    assert root.list("artifacts/probe") == ["b" * 16]


def test_a_launched_study_without_its_index_stops_the_collection(root):
    root.write("studies/two/study.yaml", b"name: two\n")
    with pytest.raises(SurroundingsError, match="missing or damaged"):
        list(Collector(root).find())


@pytest.mark.parametrize("name", ["plan.json", "params.json", "ledger/1/a.jsonl"])
def test_what_is_left_of_a_launched_study_stops_the_collection(root, name):
    root.write(f"studies/two/{name}", b"{}")
    with pytest.raises(SurroundingsError, match="missing or damaged"):
        list(Collector(root).find())


def test_a_study_that_is_a_link_stops_the_collection(root, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("moved")
    (root.path("studies") / "two").symlink_to(elsewhere)
    with pytest.raises(SurroundingsError, match="studies/two is a link"):
        collect(root)
    assert root.list("artifacts/probe") == ["b" * 16]
    assert list(elsewhere.iterdir()) == []
    assert known_studies(root) == ["one"]


def test_nothing_is_deleted_while_any_study_of_the_root_is_held(root):
    with study_lock(root, "two", "theirs"), pytest.raises(SurroundingsError, match="theirs"):
        collect(root)
    assert root.list("artifacts/probe") == ["b" * 16]


def test_a_collection_whose_lock_is_lost_meanwhile_deletes_nothing_more(root, monkeypatch):
    """As of one that was stopped, and woke when a launch had the study."""
    root.write(f"artifacts/probe/{'c' * 16}/job.json", b"{}")
    remove = Collector.remove

    def remove_and_lose(collector, item):
        remove(collector, item)
        root.path("studies/one/lock").unlink()

    monkeypatch.setattr(Collector, "remove", remove_and_lose)
    with pytest.raises(SurroundingsError, match="deleted or replaced"):
        collect(root)
    assert root.list("artifacts/probe") == ["c" * 16]


def test_what_no_study_asks_for_is_deleted_and_the_locks_are_free_again(root):
    assert collect(root) == 0
    assert root.list("artifacts/probe") == []
    with study_lock(root, "one", "mine"):
        pass


@pytest.mark.parametrize("name", ["x.tmp-1", "x.tmp-0123abcd", "a..", "lock", "_", "n" * 100])
def test_no_name_of_a_study_hides_what_it_needs(root, name):
    index = {"stages": {"probes": [{"key": "b" * 64}]}}
    root.write(f"studies/{name}/index.json", json.dumps(index).encode())
    assert list(Collector(root).find()) == []
    with study_lock(root, name, "theirs"), pytest.raises(SurroundingsError, match="theirs"):
        collect(root)


def test_a_study_launched_meanwhile_ends_the_collection(root, monkeypatch):
    root.write(f"artifacts/probe/{'c' * 16}/job.json", b"{}")
    remove = Collector.remove

    def remove_and_launch(collector, item):
        remove(collector, item)
        root.write("studies/new/lock", b"")

    monkeypatch.setattr(Collector, "remove", remove_and_launch)
    with pytest.raises(SurroundingsError, match="launched on this root meanwhile"):
        collect(root)
    assert root.list("artifacts/probe") == ["c" * 16]


def test_caches_may_go_from_any_root(tmp_path):
    root = Storage(tmp_path)
    root_id(root)
    root.write("cache/base_rows/0123456789abcdef/unit/rows.safetensors", b"1234")
    (found,) = Collector(root).find()
    assert (found.name, found.bytes) == ("cache/base_rows/0123456789abcdef", 4)
    assert collect(root) == 0
    assert not root.exists("cache/base_rows/0123456789abcdef")


def test_the_caches_that_jobs_fill_are_known():
    assert [f"cache/{name}" for name in garbage._CACHES] == [CACHE]


def files_below(folder):
    return {
        path.relative_to(folder).as_posix(): path.lstat().st_size
        for path in Path(folder).rglob("*")
        if path.is_symlink() or not path.is_dir()
    }


@pytest.mark.parametrize(
    "root_file", [None, b"", b"{ half", b"[]", b'{"id": 7}', b'{"name": "a web project"}']
)
@pytest.mark.parametrize("apply", [True, False])
def test_a_folder_that_no_launch_made_is_refused(tmp_path, root_file, apply):
    for name in (
        *(
            "cache/huggingface/hub",
            "cache/base_rows/x",
            "artifacts/probe/" + "b" * 16 + "/job.json",
        ),
        "studies/one/lock",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("mine")
    if root_file is not None:
        (tmp_path / "root.json").write_bytes(root_file)
    before = files_below(tmp_path)
    with pytest.raises(UserError, match="no root of deltascale"):
        collect(Storage(tmp_path), apply=apply)
    assert files_below(tmp_path) == before


def test_a_folder_that_is_not_there_is_refused_and_not_made(tmp_path):
    with pytest.raises(UserError, match="no root of deltascale"):
        collect(Storage(tmp_path / "typo"))
    assert list(tmp_path.iterdir()) == []


def test_what_is_left_is_told_in_words_and_in_json(root, capsys):
    root.write("artifacts/mine/project/thesis.txt", b"years")
    assert collect(root) == 0
    assert "left  artifacts/mine  (not ours)" in capsys.readouterr().out
    assert collect(root, json=True) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["left"] == [{"name": "artifacts/mine", "why": "not ours"}]
    assert told["items"] == []


def test_an_attempt_at_work_keeps_its_artifact(root):
    folder = f"artifacts/probe/{'b' * 16}"
    root.write(f"{folder}/attempts/{LOSER}1/checkpoints/1/state", b"hours")
    with claimed(Artifact(root, "probe", "b" * 64)):
        assert collect(root) == 0
        assert left_in(root) == {folder: "an attempt is at work there"}
    assert root.size(f"{folder}/attempts/{LOSER}1/checkpoints/1/state") == 5
    assert collect(root) == 0
    assert not root.exists(folder)


def test_a_folder_that_was_copied_under_another_name_is_not_ours(root):
    request = json.dumps({"key": "c" * 64, "kind": "probe"}).encode()
    root.write(f"artifacts/probe/{'b' * 16}/job.json", request)
    root.write(f"artifacts/probe/{'c' * 16}/job.json", request)
    root.write(f"artifacts/align/{'c' * 16}/job.json", request)
    assert {item.name for item in Collector(root).find()} == {f"artifacts/probe/{'c' * 16}"}
    assert set(left_in(root)) == {f"artifacts/probe/{'b' * 16}", f"artifacts/align/{'c' * 16}"}


def test_writes_that_were_killed_go_when_they_are_old(root):
    names = (
        ".tmp-0123456789abcdef",
        ".probe-0123456789abcdef0123456789abcdef",
        "studies/one/.tmp-0123456789abcdef",
        "studies/one/ledger/.tmp-0123456789abcdef",
        f"artifacts/probe/{'b' * 16}/record.json.tmp-01234567",
    )
    root.write("studies/one/ledger/a.jsonl", b"")
    for name in names:
        Path(root.url, name).write_text("half")
    old = [item.name for item in Collector(root).find()]
    assert old == [f"artifacts/probe/{'b' * 16}"]
    for name in names:
        os.utime(Path(root.url, name), (0, 0))
    assert {item.name for item in Collector(root).find()} == {*names, *old}
    assert collect(root) == 0
    assert not set(names) & files_below(root.url).keys()


# Trees of ours and of others, links and running attempts: exactly what is ours and spent goes.

LOSER = "20261128T120000-abcdef-00000"
WON = f"{LOSER}9"
KINDS = ["probe", "align", "generated-pairs"]
FOREIGN = [
    "notes.txt",
    ".hidden",
    "attempts/mybackup/thesis.txt",
    "x.tmp-1",
    "thesis/chapter 1.tex",
    "record.json.old",
    "über",
]


class Tree:
    """A root under construction, and what of it must be there after a collection."""

    def __init__(self, folder):
        self.folder = folder
        self.root = Storage(folder / "root")
        root_id(self.root)
        self.stays = {"root.json", "studies/one/index.json", "studies/one/lock"}
        self.elsewhere = folder / "elsewhere"
        self.elsewhere.mkdir()
        (self.elsewhere / "job.json").write_text("{}")
        (self.elsewhere / "checkpoints").mkdir()
        (self.elsewhere / "checkpoints" / "state").write_text("theirs")
        self.keys = []
        self.at_work = []

    def put(self, name, data=b"x", *, stays):
        self.root.write(name, data)
        if stays:
            self.stays.add(name)

    def link(self, name):
        place = Path(self.root.url, name)
        if not place.exists() and not place.is_symlink():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(self.elsewhere)
            self.stays.add(name)


@st.composite
def artifacts(draw):
    return {
        "kind": draw(st.sampled_from(KINDS)),
        "wanted": draw(st.booleans()),
        "done": draw(st.booleans()),
        "at_work": draw(st.booleans()),
        "losers": draw(st.integers(0, 2)),
        "foreign": draw(st.lists(st.sampled_from(FOREIGN), max_size=2, unique=True)),
        "foreign_in_winner": draw(st.booleans()),
        "links": draw(
            st.lists(
                st.sampled_from(
                    ["link", "attempts/link", f"attempts/{WON}/link", f"attempts/{LOSER}0/link"]
                ),
                max_size=2,
                unique=True,
            )
        ),
    }


@st.composite
def strangers(draw):
    """Names in a root that no job of ours makes."""
    return draw(
        st.lists(
            st.sampled_from(
                [
                    "thesis.txt",
                    "cache/huggingface/hub/model",
                    "cache/base_rows.old/x",
                    "cache/base_rows/README",
                    "cache/base_rows/thesis/thesis.txt",
                    "cache/base_rows/fedcba9876543210/thesis.txt",
                    "artifacts/thesis.txt",
                    "artifacts/mine/0123456789abcdef/job.json",
                    "artifacts/probe/notes.md",
                    "artifacts/probe/project/job.json",
                    "artifacts/probe/0123456789ABCDEF/job.json",
                    "artifacts/probe/0123456789abcdef/thesis.txt",
                    "artifacts/probe/0123456789abcdef0/job.json",
                    "studies/plans/todo.txt",
                    "studies/readme",
                    "revisions/mine/notes",
                ]
            ),
            unique=True,
        )
    )


LINKS = [
    *("artifacts/probe/fedcba9876543210", "artifacts/measure", "cache/base_rows/link"),
    *("cache/link", "revisions/link", "link"),
]


def build(tree, number, plan):
    """Put one artifact in a tree."""
    key = f"{number:016x}" + "0" * 48
    folder = f"artifacts/{plan['kind']}/{key[:16]}"
    keeps_all = plan["at_work"] or (plan["wanted"] and not plan["done"])
    if plan["wanted"]:
        tree.keys.append(key)
    files = {"out.txt": FileEntry(bytes=3, xxh3="0" * 16)}
    is_kept = keeps_all or plan["wanted"]
    request = json.dumps({"key": key, "kind": plan["kind"]}).encode()
    tree.put(f"{folder}/job.json", request, stays=is_kept)
    tree.put(f"{folder}/claim", b"", stays=is_kept)
    for loser in range(plan["losers"]):
        for name in ("log.txt", "out.txt", "checkpoints/1/state"):
            tree.put(f"{folder}/attempts/{LOSER}{loser}/{name}", stays=keeps_all)
    for name in ("log.txt", "out.txt"):
        tree.put(f"{folder}/attempts/{WON}/{name}", b"abc", stays=is_kept)
    for name in ("checkpoints/1/state", "progress.json", "scratch/a/b"):
        tree.put(f"{folder}/attempts/{WON}/{name}", stays=keeps_all)
    if plan["done"]:
        record = Record(key=key, kind=plan["kind"], attempt=WON, files=files)
        tree.put(f"{folder}/record.json", record.to_json(), stays=is_kept)
        if plan["foreign_in_winner"]:
            tree.put(f"{folder}/attempts/{WON}/mine.txt", stays=True)
    for name in plan["foreign"]:
        tree.put(f"{folder}/{name}", stays=True)
    for name in plan["links"]:
        tree.link(f"{folder}/{name}")
    if plan["at_work"]:
        tree.at_work.append(Artifact(tree.root, plan["kind"], key))


@hypothesis.settings(max_examples=40)
@hypothesis.given(
    st.lists(artifacts(), max_size=5),
    strangers(),
    st.lists(st.sampled_from(LINKS), unique=True),
    st.booleans(),
)
def test_exactly_what_is_ours_and_spent_goes(plans, foreign, links, has_cache):
    with contextlib.ExitStack() as held:
        folder = Path(tempfile.mkdtemp())
        held.callback(shutil.rmtree, folder)
        tree = Tree(folder)
        for number, plan in enumerate(plans):
            build(tree, number, plan)
        if has_cache:
            tree.put("cache/base_rows/0123456789abcdef/unit/rows.safetensors", stays=False)
        for name in foreign:
            tree.put(name, stays=True)
        for name in links:
            tree.link(name)
        keys = [{"key": key} for key in [*tree.keys, "f" * 64]]
        tree.root.write("studies/one/index.json", json.dumps({"stages": {"a": keys}}).encode())
        tree.root.write("studies/one/lock", b"")
        for artifact in tree.at_work:
            held.enter_context(claimed(artifact))
        others = files_below(tree.elsewhere)

        listed = [item.name for item in Collector(tree.root).find()]
        assert collect(tree.root) == 0

        assert set(files_below(tree.root.url)) == tree.stays
        assert files_below(tree.elsewhere) == others
        assert list(Collector(tree.root).find()) == []
        assert len(set(listed)) == len(listed)
