"""The verb `report`, on a root where some jobs of a study have records and some have not."""

import json
from argparse import Namespace
from urllib.parse import urlparse

import pytest

from analysis.long_table.columns import to_table
from analysis.long_table.files import to_parquet
from cluster.errors import UserError
from cluster.storage import Storage
from jobs.artifacts.artifact import FileEntry, Record, digest_bytes
from orchestrator.dispatch.worker_messages import write_request
from orchestrator.plan.decided_plan import decide_plan
from orchestrator.plan.plan import make_plan
from orchestrator.study.study import load_study
from orchestrator.verbs import report

STUDY = """\
study: short
axes:
  model:
    - {name: m1, config: {family: gpt2, num_layers: 1, d_model: 16, num_heads: 2}}
    - {name: m2, config: {family: gpt2, num_layers: 1, d_model: 32, num_heads: 2}}
stages:
  base:
    kind: pretrain
    over: [model]
    params: {config: "${model.config}", format: nursery, steps: 1}
  prompts: {kind: prompts, params: {format: nursery}}
  before: {kind: behave, inputs: {model: base, prompts: prompts}, params: {toxic_words: prompts}}
  table: {kind: compare, gather: [before], params: {metrics: [toxic_mass], figures: false}}
"""


class Half:
    """The study of which only the cell m1 was measured."""

    def __init__(self, folder, url):
        self.file = folder / "short.yaml"
        self.file.write_text(STUDY)
        self.root = Storage(url)
        self.digests = {}
        for job in make_plan(load_study(self.file)).jobs:
            if job.kind != "compare" and job.cell.get("model") != "m2":
                self.leave(job)

    def leave(self, job):
        """Put what an attempt of the job would have left."""
        row = {"family": "gpt2", "model": "m1", "num_parameters": 5_000, "metric": "toxic_mass"}
        data = to_parquet(to_table([{**row, "value": 0.4375, "low": 0.4, "high": 0.5}], []))
        write_request(self.root, job)
        self.root.write(f"{job.folder}/attempts/one/measurements.parquet", data)
        record = Record(
            key=job.key,
            kind=job.kind,
            attempt="one",
            files={"measurements.parquet": FileEntry(bytes=len(data), xxh3=digest_bytes(data))},
            inputs={ref.key: self.digests[ref.key] for refs in job.inputs.values() for ref in refs},
            commit="c0ffee",
        )
        self.digests[job.key] = record.content_digest
        self.root.write(f"{job.folder}/record.json", record.to_json())

    def options(self, **changed):
        told = {"study": str(self.file), "root": self.root.url, "json": True, "to": None}
        return Namespace(**{**told, **changed})

    @property
    def page(self):
        return self.root.read("studies/short/report.html").decode()

    @property
    def embedded(self):
        begins = self.page.index('id="data">') + len('id="data">')
        return json.loads(self.page[begins : self.page.index("</script>", begins)])


@pytest.fixture(params=["local", "memory"])
def half(request, tmp_path):
    return Half(tmp_path, tmp_path / "root" if request.param == "local" else f"memory://{tmp_path}")


def test_a_page_stands_beside_the_study_and_tells_what_it_holds(half, capsys):
    assert report.run(half.options()) == 0
    told = json.loads(capsys.readouterr().out)
    assert urlparse(told["place"]).path.endswith("studies/short/report.html")
    assert told["study"] == "short" and told["cells"] > 2 and told["artifacts"] == 3
    assert told["bytes"] == len(half.page.encode())


def test_a_page_is_written_elsewhere_and_nothing_into_the_root(half, tmp_path, capsys):
    def names():
        folders = ("artifacts", "studies")
        return sorted(name for folder in folders for name in half.root.walk(folder))

    before = names()
    page = tmp_path / "mine.html"
    for _ in range(2):  # a page of before is replaced
        assert report.run(half.options(to=str(page))) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["place"] == str(page) and told["bytes"] == page.stat().st_size
    assert names() == before
    report.run(half.options())
    assert half.page == page.read_text()


@pytest.mark.parametrize(
    ("to", "said"),
    [("page", "ends in .html"), ("absent/page.html", "no such folder"), ("a.html", "is a folder")],
)
def test_where_no_page_can_be_written_is_said_before_anything_is_read(half, tmp_path, to, said):
    (tmp_path / "a.html").mkdir()
    half.file.unlink()
    with pytest.raises(UserError, match=said):
        report.run(half.options(to=str(tmp_path / to)))


def test_measured_cells_have_their_chain_and_others_their_reason(half, capsys):
    report.run(half.options())
    found = half.embedded
    table = found["tables"][0]
    lines = {header[1]: line[0] for header, line in zip(table["rows"], table["cells"], strict=True)}
    measured, missing = lines["m1"], lines["m2"]
    assert {"value": 0.4375, "low": 0.4, "high": 0.5}.items() <= measured.items()
    assert "value" not in missing and missing["status"] == "not_run"
    assert "stage before" in missing["reason"]
    chain = found["artifacts"][measured["keys"][0]]
    assert chain["kind"] == "behave" and chain["commit"] == "c0ffee"
    assert sorted(role for role, _ in chain["inputs"]) == ["model", "prompts"]
    assert all(key in found["artifacts"] for _, key in chain["inputs"])


def test_every_file_that_a_page_links_to_stands_below_the_root(half, capsys):
    report.run(half.options())
    found = half.embedded
    files = [
        f"{each['folder']}/{name}"
        for each in found["artifacts"].values()
        for name, *_ in each["files"]
    ]
    assert files and all(half.root.exists(name) for name in files)
    assert found["root"] == "../.."


def test_a_study_of_which_nothing_was_measured_has_no_page(tmp_path):
    file = tmp_path / "short.yaml"
    file.write_text(STUDY)
    with pytest.raises(UserError, match="nothing of the study 'short' was measured yet"):
        report.run(Namespace(study=str(file), root=str(tmp_path / "root"), json=False, to=None))


def test_a_study_that_compares_nothing_has_no_page(tmp_path):
    file = tmp_path / "short.yaml"
    file.write_text(STUDY[: STUDY.index("  table:")])
    with pytest.raises(UserError, match="no stage of kind compare"):
        report.run(Namespace(study=str(file), root=str(tmp_path / "root"), json=False, to=None))


def test_a_page_does_not_change_what_is_done(half, capsys):
    before = [each.decision for each in decide_plan(half.root, load_study(half.file)).decisions]
    report.run(half.options())
    assert [
        each.decision for each in decide_plan(half.root, load_study(half.file)).decisions
    ] == before
