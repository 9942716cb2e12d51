"""Models from folders, from a cache without network, and from a hub that speaks over HTTP."""

import json
import shutil
import subprocess
import sys
from http.server import BaseHTTPRequestHandler

import pytest
from huggingface_hub import constants
from pydantic import ValidationError

from cluster.errors import SurroundingsError, UserError
from cluster.executor import Surroundings
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact
from jobs.kinds.pretrained import Pretrained
from jobs.kinds.pretrained import PretrainedParams as Params
from jobs.models.family import names
from jobs.models.loading import load_model, load_tokenizer
from jobs.models.model_source import UNRESOLVED
from jobs.worker.attempt_folder import AttemptFolder
from jobs.worker.tracking import Tracker
from jobs.worker.work import Work
from tests.serving import LocalServer

pretrained = Pretrained()

COMMIT = "0123456789abcdef0123456789abcdef01234567"
NEWER = "f" * 40


def work_on(tmp_path, params, pins=None):
    artifact = Artifact(Storage(tmp_path / "root"), "pretrained", "ab" * 32)
    return Work(
        params=params,
        inputs={},
        attempt=AttemptFolder(artifact, "1"),
        surroundings=Surroundings(),
        tracker=Tracker(None),
        threads=1,
        pins=pretrained.pins(params, {}) if pins is None else pins,
    )


def same_files(folder, source):
    """True when everything in `folder` is what `source` holds under the same name."""
    taken = sorted(folder.iterdir())
    return bool(taken) and all(
        path.read_bytes() == (source / path.name).read_bytes() for path in taken
    )


@pytest.fixture
def cache(tmp_path, monkeypatch, saved_models):
    """A hub cache with one model per family, its files being links to blobs; no network."""
    home = tmp_path / "cache"
    for name in names():
        repository = home / f"models--tiny--{name}"
        snapshot = repository / "snapshots" / COMMIT
        (repository / "blobs").mkdir(parents=True)
        snapshot.mkdir(parents=True)
        (repository / "refs").mkdir()
        (repository / "refs" / "main").write_text(COMMIT)
        for number, file in enumerate(sorted((saved_models / f"{name}-sharded").iterdir())):
            shutil.copy(file, repository / "blobs" / str(number))
            (snapshot / file.name).symlink_to(f"../../blobs/{number}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(home))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return home


@pytest.mark.parametrize("name", ["config.json", "model.safetensors.index.json"])
def test_a_cache_that_was_moved_without_its_blobs_is_told(cache, tmp_path, name):
    (cache / "models--tiny--gpt2/snapshots" / COMMIT / name).resolve().unlink()
    params = Params(source="hf://tiny/gpt2", revision=COMMIT)
    with pytest.raises(UserError, match=f"{name} is a link to .*, which is not there"):
        pretrained.run(work_on(tmp_path, params))


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("suffix", ["", "-sharded"])
def test_a_local_folder_becomes_an_artifact_that_loads(saved_models, tmp_path, name, suffix):
    source = saved_models / f"{name}{suffix}"
    work = work_on(tmp_path, Params(source=str(source)))
    facts = pretrained.run(work)
    assert same_files(work.folder / "model", source)
    model = load_model(work.folder / "model")
    load_tokenizer(work.folder / "model")
    assert facts["model"]["family"] == name
    assert facts["model"]["num_parameters"] == sum(p.numel() for p in model.parameters())
    assert facts["source"] == str(source)
    assert facts["revision"] is None


@pytest.mark.parametrize("name", names())
def test_a_cached_model_needs_no_network(cache, tmp_path, name):
    params = Params(source=f"hf://tiny/{name}")
    known = dict([pretrained.source(params).resolve()])
    assert known == {f"hf://tiny/{name}@main": COMMIT}
    work = work_on(tmp_path, params, pretrained.pins(params, known))
    facts = pretrained.run(work)
    assert facts["revision"] == COMMIT
    assert facts["source"] == f"hf://tiny/{name}"
    assert not any(path.is_symlink() for path in (work.folder / "model").iterdir())
    load_model(work.folder / "model")


def test_files_of_one_file_system_are_linked_and_not_copied(cache, tmp_path):
    work = work_on(tmp_path, Params(source="hf://tiny/llama"), {"revision": COMMIT})
    pretrained.run(work)
    assert all(path.stat().st_nlink == 2 for path in (work.folder / "model").iterdir())


def test_a_cached_commit_runs_even_when_main_has_moved(cache, tmp_path):
    (cache / "models--tiny--llama" / "refs" / "main").write_text(NEWER)
    work = work_on(tmp_path, Params(source="hf://tiny/llama"), {"revision": COMMIT})
    assert pretrained.run(work)["revision"] == COMMIT


def test_without_network_and_cache_it_is_the_surroundings_fault_with_a_way_out(cache, tmp_path):
    params = Params(source="hf://tiny/absent")
    with pytest.raises(SurroundingsError) as caught:
        pretrained.source(params).resolve()
    assert "HF_HOME" in str(caught.value)
    with pytest.raises(SurroundingsError, match="cannot be reached"):
        pretrained.run(work_on(tmp_path, params, {"revision": NEWER}))


def test_an_unresolved_revision_is_said_to_be_so_and_keeps_revisions_apart():
    pins = {
        revision: pretrained.pins(Params(source="hf://tiny/llama", revision=revision), {})
        for revision in (None, "step1000", "step2000")
    }
    assert pins[None]["revision"].startswith(UNRESOLVED)
    assert len({each["revision"] for each in pins.values()}) == 3


def test_a_full_commit_is_its_own_pin_without_asking_anyone():
    params = Params(source="hf://tiny/llama", revision=COMMIT)
    assert pretrained.pins(params, {}) == {"revision": COMMIT}


def test_what_a_launch_has_resolved_is_the_pin():
    known = {"hf://tiny/llama@main": COMMIT, "hf://tiny/llama@v2": NEWER}
    assert pretrained.pins(Params(source="hf://tiny/llama"), known) == {"revision": COMMIT}
    params = Params(source="hf://tiny/llama", revision="v2")
    assert pretrained.pins(params, known) == {"revision": NEWER}


def test_the_pin_of_a_folder_is_its_content_and_not_its_place(saved_models, tmp_path):
    def pin(folder):
        return pretrained.pins(Params(source=str(folder)), {})["weights"]

    original = pin(saved_models / "llama")
    moved = shutil.copytree(saved_models / "llama", tmp_path / "moved")
    (moved / "README.md").write_text("not part of the model")
    assert pin(moved) == original
    config = json.loads((moved / "config.json").read_text())
    (moved / "config.json").write_text(json.dumps({**config, "rms_norm_eps": 1e-5}))
    assert pin(moved) != original


def test_a_folder_that_changed_after_planning_is_refused(saved_models, tmp_path):
    folder = shutil.copytree(saved_models / "llama", tmp_path / "moved")
    work = work_on(tmp_path, Params(source=str(folder)))
    with open(folder / "generation_config.json", "a") as stream:
        stream.write("\n")
    with pytest.raises(UserError, match="changed since the study was planned"):
        pretrained.run(work)


def test_a_link_whose_target_is_gone_is_named_as_one(tmp_path):
    (tmp_path / "model").symlink_to(tmp_path / "away")
    with pytest.raises(UserError, match=r"is a link to .*away, which is not there"):
        pretrained.pins(Params(source=str(tmp_path / "model")), {})


def test_a_missing_folder_says_where_it_was_looked_for(tmp_path):
    params = Params(source=str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="no such folder") as caught:
        pretrained.pins(params, {})
    assert str(tmp_path / "nowhere") in str(caught.value)
    assert "hf://" in str(caught.value)


def test_a_broken_folder_leaves_no_model_behind(saved_models, tmp_path):
    folder = shutil.copytree(saved_models / "llama", tmp_path / "broken")
    work = work_on(tmp_path, Params(source=str(folder)))
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(UserError, match="cut off"):
        pretrained.run(work)
    assert not list(work.folder.iterdir())


def test_a_broken_folder_is_told_of_while_planning(saved_models, tmp_path):
    folder = shutil.copytree(saved_models / "llama", tmp_path / "broken")
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(UserError, match="cut off"):
        pretrained.pins(Params(source=str(folder)), {})


def test_the_expected_config_is_checked_against_the_model(saved_models, tmp_path, tiny_sizes):
    expected = {"family": "llama", **tiny_sizes}
    source = str(saved_models / "llama")
    pretrained.run(work_on(tmp_path, Params(source=source, config=expected)))
    wrong = Params(source=source, config={**expected, "family": "mistral", "d_model": 32})
    with pytest.raises(UserError) as caught:
        pretrained.run(work_on(tmp_path, wrong))
    assert "family is llama, not mistral; d_model is 16, not 32" in str(caught.value)


def test_an_expected_config_with_a_wrong_field_fails_while_planning():
    params = Params(source="hf://tiny/llama", config={"family": "llama", "layers": 2})
    with pytest.raises(UserError, match="unknown config field 'layers'"):
        pretrained.pins(params, {})


@pytest.mark.parametrize("source", ["hf://", "hf://a/b/c", "hf://a/b@main", "hf://a b/c"])
def test_a_source_that_names_no_repository_is_refused_while_planning(source):
    with pytest.raises(UserError, match="names no model on the hub"):
        pretrained.pins(Params(source=source), {})


def test_a_wrong_param_is_refused():
    with pytest.raises(ValidationError):
        Params(source="hf://a/b", revison="main")
    with pytest.raises(ValidationError):
        Params(source="")


def test_planning_with_it_imports_nothing_heavy():
    code = (
        "import sys; from jobs.kind import KINDS; pretrained = KINDS.find('pretrained')\n"
        "pretrained.pins(pretrained.Params(source='hf://tiny/llama'), {})\n"
        "heavy = {'torch', 'transformers', 'huggingface_hub', 'tokenizers', 'numpy'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


class Hub(LocalServer):
    """A hub with one model, `tiny/llama`, at branch main; anything else has the hub's own faults.

    It also offers a pickle and a file of code, which nobody may ask for.
    """

    def __init__(self, folder):
        super().__init__(Answers)
        self.folder = folder
        self.asked = []
        self.files = sorted(path.name for path in folder.iterdir())


class Answers(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def reply(self, body=b"", status=200, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        hub, path = self.server, self.path.partition("?")[0]
        hub.asked.append(path)
        if "/tiny/busy" in path:
            self.reply(status=503)
        elif "/tiny/gated" in path:
            self.reply(status=403, X_Error_Code="GatedRepo")
        elif "/tiny/llama" not in path:
            self.reply(status=404, X_Error_Code="RepoNotFound")
        elif path in ("/api/models/tiny/llama", "/api/models/tiny/llama/revision/main"):
            self.reply(json.dumps({"id": "tiny/llama", "sha": COMMIT, "siblings": []}).encode())
        elif path == f"/api/models/tiny/llama/tree/{COMMIT}":
            tree = [
                {
                    "type": "file",
                    "path": name,
                    "size": (hub.folder / name).stat().st_size,
                    "oid": f"{number:040x}",
                }
                for number, name in enumerate(hub.files)
            ]
            self.reply(json.dumps(tree).encode())
        elif path.startswith(f"/tiny/llama/resolve/{COMMIT}/"):
            name = path.rpartition("/")[2]
            tag = f'"{hub.files.index(name):040x}"'
            self.reply((hub.folder / name).read_bytes(), ETag=tag, X_Repo_Commit=COMMIT)
        else:
            self.reply(status=404, X_Error_Code="RevisionNotFound")


@pytest.fixture
def hub(tmp_path, monkeypatch, saved_models):
    folder = shutil.copytree(saved_models / "llama-sharded", tmp_path / "served")
    for stranger in ("pytorch_model.bin", "modeling_evil.py", "consolidated.safetensors"):
        (folder / stranger).write_bytes(b"never")
    server = Hub(folder)
    address = server.address
    monkeypatch.setattr(constants, "ENDPOINT", address)
    template = f"{address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    yield server
    server.close()


def test_a_model_is_fetched_without_its_pickles_and_code(hub, tmp_path):
    params = Params(source="hf://tiny/llama")
    known = dict([pretrained.source(params).resolve()])
    work = work_on(tmp_path, params, pretrained.pins(params, known))
    facts = pretrained.run(work)
    assert facts["revision"] == COMMIT
    assert same_files(work.folder / "model", hub.folder)
    load_model(work.folder / "model")
    asked = " ".join(hub.asked)
    assert "model-00001" in asked
    assert not any(name in asked for name in ("pytorch_model", "evil", "consolidated"))


def test_a_fetched_model_is_there_when_the_network_is_gone(hub, tmp_path, monkeypatch):
    params = Params(source="hf://tiny/llama")
    pretrained.run(work_on(tmp_path, params, {"revision": COMMIT}))
    assert pretrained.source(params).resolve() == ("hf://tiny/llama@main", COMMIT)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert pretrained.source(params).resolve() == ("hf://tiny/llama@main", COMMIT)
    pretrained.run(work_on(tmp_path / "again", params, {"revision": COMMIT}))


def test_a_model_with_pickles_only_is_refused_with_what_the_hub_has(hub, tmp_path):
    hub.files = ["config.json", "modeling_evil.py", "pytorch_model.bin"]
    work = work_on(tmp_path, Params(source="hf://tiny/llama"), {"revision": COMMIT})
    with pytest.raises(UserError, match=r"found config\.json, modeling_evil\.py, pytorch_model"):
        pretrained.run(work)


def test_a_revision_that_does_not_exist_is_the_users_mistake(hub, tmp_path):
    with pytest.raises(UserError, match="hf://tiny/llama has no revision 'step7'"):
        pretrained.source(Params(source="hf://tiny/llama", revision="step7")).resolve()
    params = Params(source="hf://tiny/llama", revision=NEWER)
    with pytest.raises(UserError, match=f"has no revision '{NEWER}'"):
        pretrained.run(work_on(tmp_path, params))


def test_a_model_that_does_not_exist_is_the_users_mistake(hub):
    with pytest.raises(UserError, match="hf://tiny/lama does not exist on the hub"):
        pretrained.source(Params(source="hf://tiny/lama")).resolve()


def test_a_gated_model_says_how_to_get_in(hub):
    with pytest.raises(UserError, match="is gated") as caught:
        pretrained.source(Params(source="hf://tiny/gated")).resolve()
    assert "HF_TOKEN" in str(caught.value)


def test_a_hub_that_is_down_is_the_surroundings_fault(hub):
    with pytest.raises(SurroundingsError):
        pretrained.source(Params(source="hf://tiny/busy")).resolve()


def test_no_token_reaches_facts_or_files(hub, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_very_secret_token")
    work = work_on(tmp_path, Params(source="hf://tiny/llama"), {"revision": COMMIT})
    assert "very_secret" not in json.dumps(pretrained.run(work))
    for path in work.folder.rglob("*"):
        assert path.is_dir() or b"very_secret" not in path.read_bytes()
