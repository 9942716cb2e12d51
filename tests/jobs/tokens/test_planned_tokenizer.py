"""The tokenizer of a model that is not taken yet: of a folder, and of a `.gguf` file."""

import json
import shutil

import pytest
from huggingface_hub import constants

from cluster.errors import UserError
from jobs.kind import Upstream
from jobs.kinds.pretrained import Pretrained, PretrainedParams
from jobs.models.gguf import stored_types
from jobs.models.gguf.checkpoint import write_tokenizer
from jobs.text.planned import Planned
from jobs.tokens import planned_tokenizer as planned_tokenizer_module
from jobs.tokens.planned_tokenizer import planned_config, planned_tokenizer
from jobs.tokens.planned_tokens import check_prompts, check_prompts_of_pair
from tests.jobs.models.gguf_files import TEXT, TOKENIZER, sizes_of, write_gguf

COMMIT = "c" * 40
MARKED = "{{ bos_token }}{% for each in messages %} {{ each['content'] }}{% endfor %}"


def taken(source):
    """What a plan knows of a model that is taken from somewhere."""
    params = {"source": str(source)}
    return Upstream(kind="pretrained", params=params, facts=None, files={}, inputs={})


def prompts(*texts):
    lines = [
        {
            "prompt": number,
            "group": 0,
            "segments": [
                {"role": "prompt", "text": text[0]},
                {"role": "response", "text": text[1]},
            ],
        }
        for number, text in enumerate(texts)
    ]
    return Planned(params=repr(texts), read=lambda: lines)


@pytest.fixture
def model(tiny_model):
    return tiny_model("llama", **sizes_of("llama"))


@pytest.fixture
def file(model, tmp_path):
    return write_gguf(tmp_path / "tiny.gguf", model)


@pytest.fixture
def folder(model, tmp_path):
    """The same model as a checkpoint, with the tokenizer of the file."""
    made = tmp_path / "checkpoint"
    model.save_pretrained(made)
    write_tokenizer(write_gguf(tmp_path / "for-folder.gguf", model), made, "here")
    return made


def test_that_of_a_gguf_file_is_known_before_the_file_is_unpacked(file):
    planned = planned_tokenizer(taken(file))
    assert planned.load()(TEXT)["input_ids"] == TOKENIZER.encode(TEXT).ids
    assert planned.bare().encode(TEXT).ids == TOKENIZER.encode(TEXT).ids
    assert planned.num_rows == TOKENIZER.get_vocab_size() and not planned.is_larger
    assert planned.load().pad_token is not None


def test_the_config_of_a_model_is_read_once_until_it_changes(file, folder, monkeypatch):
    read = []
    for name in ("check_gguf", "read_config"):
        real = getattr(planned_tokenizer_module, name)
        monkeypatch.setattr(
            planned_tokenizer_module, name, lambda *at, real=real: read.append(at) or real(*at)
        )
    for _ in range(3):
        for place in (file, folder):
            planned = planned_tokenizer(taken(place))
            assert planned.max_positions == planned.facts["config"]["max_positions"]
            assert planned_config(taken(place)) == planned.facts["config"]
    assert len(read) == 2
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 7}))
    assert planned_tokenizer(taken(folder)).max_positions == 7


def test_borders_that_move_in_a_gguf_files_tokens_are_told(file):
    notes = check_prompts(prompts(("the c", "at sat"), ("the cat", " sat")), taken(file))
    assert len(notes) == 1 and "in 1 of 2 prompts a token reaches over a border" in notes[0]


def test_a_gguf_file_and_a_checkpoint_of_one_tokenizer_go_together(file, folder):
    texts = prompts(("the cat", " sat in 2025"))
    assert check_prompts_of_pair(texts, taken(folder), taken(file)) == ()
    assert not planned_tokenizer(taken(file)).has_files_of(planned_tokenizer(taken(folder)))


def test_a_gguf_file_that_cuts_otherwise_is_refused_beside_its_base(file, model, tmp_path):
    other = write_gguf(tmp_path / "other.gguf", model, tokenizer__ggml__pre="smollm")
    one, two = (planned_tokenizer(taken(each)) for each in (file, other))
    assert not one.has_files_of(two)
    with pytest.raises(UserError, match="give prompt 0 other ids"):
        check_prompts_of_pair(prompts(("the cat", " 12 times")), taken(file), taken(other))


def test_two_files_of_one_tokenizer_are_one(file, model, tmp_path):
    rounded = write_gguf(tmp_path / "rounded.gguf", model, "Q8_0")
    assert planned_tokenizer(taken(file)).has_files_of(planned_tokenizer(taken(rounded)))


def test_a_start_that_a_template_doubles_is_refused_at_planning(model, tmp_path):
    doubled = MARKED.replace("{{ bos_token }}", "{{ bos_token }}{{ bos_token }}")
    once, twice = (
        write_gguf(tmp_path / name, model, tokenizer__chat_template=template)
        for name, template in (("once.gguf", MARKED), ("twice.gguf", doubled))
    )
    texts = prompts(("the cat", " sat"))
    assert check_prompts_of_pair(texts, taken(once), taken(once), "chat") == ()
    with pytest.raises(UserError, match=r"more than one <\|end\|> begins the text"):
        check_prompts_of_pair(texts, taken(twice), taken(twice), "chat")


def test_an_adapters_own_tokenizer_comes_before_its_bases_file(file, folder, tmp_path):
    adapter = Upstream(
        kind="adapter",
        params={"source": str(folder)},
        facts=None,
        files={},
        inputs={"base": taken(file)},
    )
    planned = planned_tokenizer(adapter)
    assert (planned.folder, planned.model) == (folder, file)
    assert planned.load()(TEXT)["input_ids"] == TOKENIZER.encode(TEXT).ids


def test_a_tokenizer_that_is_not_as_its_file_says_is_told_at_planning(folder, file):
    """A token that only the settings beside the file know cuts texts that the file does not."""
    described = json.loads((folder / "tokenizer_config.json").read_text())

    def notes(source, **change):
        (folder / "tokenizer_config.json").write_text(json.dumps({**described, **change}))
        return Pretrained().notes(PretrainedParams(source=str(source)), {})

    assert notes(folder) == notes(file) == ()
    (note,) = notes(folder, pad_token="Street")
    assert "cannot be loaded as its tokenizer.json describes it: it gives" in note
    assert "'Street'" in note and str(folder) in note
    assert notes(folder, pad_token="<|end|>") == ()
    (folder / "tokenizer.json").write_text("{}")
    (note,) = notes(folder)
    assert "cannot be read" in note


def test_nothing_is_known_of_what_is_not_here_or_cannot_be_read(file, tmp_path, monkeypatch):
    assert planned_tokenizer(taken(tmp_path / "none.gguf")) is None
    (tmp_path / "broken.gguf").write_bytes(b"GGUF")
    assert planned_tokenizer(taken(tmp_path / "broken.gguf")) is None
    monkeypatch.setattr(stored_types, "find_spec", lambda name: None)
    assert planned_tokenizer(taken(file)) is None


@pytest.fixture
def cached(file, tmp_path, monkeypatch):
    """The hub's cache, with a repository that holds the file as a link to its blob; no network."""
    repository = tmp_path / "hub" / "models--tiny--gguf"
    snapshot = repository / "snapshots" / COMMIT
    for folder in (snapshot, repository / "blobs", repository / "refs"):
        folder.mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    shutil.copy(file, repository / "blobs" / "weights")
    (snapshot / "tiny.gguf").symlink_to("../../blobs/weights")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return repository


def in_cache(revision=None, file="tiny.gguf"):
    """What a plan knows of a `.gguf` file that is taken of a repository."""
    params = {"source": "hf://tiny/gguf", "gguf_file": file, "revision": revision}
    return Upstream(kind="pretrained", params=params, facts=None, files={}, inputs={})


@pytest.mark.parametrize("revision", [None, "main", COMMIT])
def test_a_gguf_file_in_the_hubs_cache_is_read_as_one_in_a_folder(cached, file, revision):
    planned = planned_tokenizer(in_cache(revision))
    assert planned.load()(TEXT)["input_ids"] == TOKENIZER.encode(TEXT).ids
    texts = prompts(("the c", "at sat"), ("the cat", " sat"))
    assert check_prompts(texts, in_cache(revision)) == check_prompts(texts, taken(file)) != ()
    assert check_prompts_of_pair(texts, in_cache(revision), taken(file)) == check_prompts(
        texts, taken(file)
    )


def test_what_the_cache_lacks_is_not_known_and_no_error(cached):
    assert planned_tokenizer(in_cache(file="other.gguf")) is None
    assert planned_tokenizer(in_cache(revision="0" * 40)) is None
    (cached / "blobs" / "weights").unlink()  # a cache that was moved without its blobs
    assert planned_tokenizer(in_cache()) is None
    source = Pretrained().Params(**in_cache().params)
    assert Pretrained().notes(source, {}) == ()


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda path: path.write_bytes(b"GGUF"), "tiny.gguf"),
        (
            lambda path: path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid"),
            "Git LFS pointer",
        ),
    ],
)
def test_a_cached_gguf_file_that_cannot_be_taken_is_told_in_one_line(cached, damage, told):
    damage(cached / "blobs" / "weights")
    assert planned_tokenizer(in_cache()) is None
    (note,) = Pretrained().notes(Pretrained().Params(**in_cache().params), {})
    assert told in note and note.endswith("; it will be refused") and "\n" not in note


def test_a_cached_gguf_file_whose_cuts_are_unknown_is_told(cached, model, tmp_path):
    other = write_gguf(tmp_path / "other.gguf", model, tokenizer__ggml__pre="smolm")
    shutil.copy(other, cached / "blobs" / "weights")
    (note,) = Pretrained().notes(Pretrained().Params(**in_cache().params), {})
    assert "smolm" in note and note.endswith("; it will be refused")
