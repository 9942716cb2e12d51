"""Models written in other dtypes, what that takes from them, and a hub that takes them."""

import base64
import http.server
import json

import pytest
import torch
from huggingface_hub import ModelCard, constants
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM

from cluster.errors import UserError
from jobs.kinds.export import Export
from jobs.models.loading import load_tokenizer
from jobs.models.older_names import config_with_older_names
from tests.serving import LocalServer

export = Export()

COMMIT = "c" * 40


@pytest.fixture
def moved(root, tiny_model, word_tokenizer):
    """A root with a `model`, and `moved`: 3e-5 added to every weight of its blocks."""
    model, tokenizer = tiny_model("gpt2"), word_tokenizer(eos_token="<end>")
    root.model("model", model, tokenizer, "pretrained")
    with torch.no_grad():
        for weight in model.transformer.h.parameters():
            weight.add_(3e-5)
    facts = {"training": {"objective": "dpo", "steps": 7, "resumed_from": 3, "last": {"loss": 1.0}}}
    root.model("moved", model, tokenizer, "align", facts)
    return root


def exported(root, inputs=None, **params):
    answer, _ = root.run("export", params, name="exported", **(inputs or {"model": "moved"}))
    return answer, root.artifact("exported")


def done(root, inputs=None, **params):
    answer, artifact = exported(root, inputs, **params)
    assert answer["state"] == "done", answer
    return artifact


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_it_is_the_same_model_rounded_and_transformers_loads_it_in_that_dtype(moved, dtype):
    artifact = done(moved, dtype=dtype)
    source = moved.artifact("moved").directory("model")
    held, rounded = (
        load_file(folder / "model.safetensors") for folder in (source, artifact.directory("model"))
    )
    assert held.keys() == rounded.keys()
    for name, tensor in held.items():
        assert torch.equal(rounded[name], tensor.to(getattr(torch, dtype)))
    loaded = AutoModelForCausalLM.from_pretrained(artifact.directory("model"), dtype="auto")
    assert loaded.dtype == getattr(torch, dtype)
    assert artifact.facts["model"]["num_parameters"] == loaded.num_parameters()
    assert artifact.facts["rounding"] is None


LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}


@pytest.mark.parametrize(
    ("model_type", "rope", "older"),
    [
        ("llama", {"rope_type": "default", "rope_theta": 5e5}, {"rope_theta": 5e5}),
        ("llama", {**LLAMA3, "rope_theta": 5e5}, {"rope_theta": 5e5, "rope_scaling": LLAMA3}),
        (
            "phi",
            {"rope_type": "default", "rope_theta": 9.0, "partial_rotary_factor": 0.4},
            {"rope_theta": 9.0, "partial_rotary_factor": 0.4},
        ),
        (
            "gpt_neox",
            {"rope_type": "default", "rope_theta": 9.0, "partial_rotary_factor": 0.5},
            {"rotary_emb_base": 9.0, "rotary_pct": 0.5},
        ),
        (
            "gemma3_text",
            {
                "full_attention": {"rope_type": "linear", "factor": 4.0, "rope_theta": 1e6},
                "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
            },
            {
                "rope_theta": 1e6,
                "rope_local_base_freq": 1e4,
                "rope_scaling": {"rope_type": "linear", "factor": 4.0},
            },
        ),
    ],
)
def test_positions_are_named_as_transformers_4_reads_them_and_5_reads_the_same(
    model_type, rope, older
):
    config = {"model_type": model_type, "rope_parameters": rope, "dtype": "bfloat16"}
    named = config_with_older_names(config)
    assert named == {**config, **older, "torch_dtype": "bfloat16"}
    sizes = {"hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 2, "head_dim": 8}
    before, after = (AutoConfig.for_model(**{**given, **sizes}) for given in (config, named))
    assert after.to_dict()["rope_parameters"] == before.to_dict()["rope_parameters"]


def test_a_model_and_its_tokenizer_are_written_under_both_names(root, tiny_model, word_tokenizer):
    model, tokenizer = tiny_model("llama"), word_tokenizer(eos_token="<end>")
    tokenizer.add_special_tokens({"extra_special_tokens": ["word1"]})
    root.model("llama", model, tokenizer, "align")
    written = done(root, {"model": "llama"}, dtype="float16").directory("model")
    config = json.loads((written / "config.json").read_text())
    assert config["rope_theta"] == config["rope_parameters"]["rope_theta"]
    assert config["torch_dtype"] == config["dtype"] == "float16"
    settings = json.loads((written / "tokenizer_config.json").read_text())
    assert settings["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert settings["additional_special_tokens"] == ["word1"]
    assert "extra_special_tokens" not in settings
    again = load_tokenizer(written)
    assert again("word1 word2")["input_ids"] == tokenizer("word1 word2")["input_ids"]
    assert again.extra_special_tokens == ["word1"]


def test_shards_stay_shards(root, tiny_model, word_tokenizer):
    model = tiny_model("llama")

    def write(folder):
        model.save_pretrained(folder / "model", max_shard_size="4KB")
        word_tokenizer(eos_token="<end>").save_pretrained(folder / "model")

    source = root.publish("sharded", "pretrained", write)
    artifact = done(root, {"model": "sharded"}, dtype="bfloat16")
    shards = [name for name in source.names("model/") if name.endswith(".safetensors")]
    assert len(shards) > 3 and set(shards) < set(artifact.names("model/"))
    index = json.loads(artifact.read("model/model.safetensors.index.json"))
    assert index["metadata"]["total_size"] == 2 * model.num_parameters()
    loaded = AutoModelForCausalLM.from_pretrained(artifact.directory("model"), dtype="auto")
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor.bfloat16())


def test_what_rounding_takes_of_a_small_update_is_measured_and_on_the_card(moved):
    artifact = done(moved, {"model": "moved", "base": "model"}, dtype="bfloat16")
    rounding = artifact.facts["rounding"]
    base, after = (
        load_file(moved.artifact(name).path("model/model.safetensors"))
        for name in ("model", "moved")
    )
    before, trained = (
        torch.cat([each[name].flatten() for name in sorted(base)]).double()
        for each in (base, after)
    )
    moves = before != trained
    lost = before.bfloat16() == trained.bfloat16()
    error = (trained.bfloat16().double() - trained).norm() / (trained - before).norm()
    assert rounding["update_error"] == pytest.approx(float(error), rel=1e-6)
    assert rounding["entries_lost"] == pytest.approx(
        float((moves & lost).sum() / moves.sum()), rel=1e-6
    )
    assert rounding["update_error"] > 1 and rounding["entries_lost"] > 0.3
    card = ModelCard.load(artifact.path("model/README.md"))
    assert card.data.tags == ["deltascale", "export", "bfloat16"]
    assert f"| entries_lost | {rounding['entries_lost']} |" in card.text
    assert "| steps | 7 |" in card.text and "resumed_from" not in card.text


def test_nothing_is_lost_in_single_precision(moved):
    artifact = done(moved, {"model": "moved", "base": "model"}, dtype="float32")
    assert artifact.facts["rounding"] == {"update_error": 0.0, "entries_lost": 0.0}


def test_a_base_that_is_the_model_or_another_model_is_refused(moved, tiny_model, word_tokenizer):
    answer, _ = exported(moved, {"model": "moved", "base": "moved"}, dtype="bfloat16")
    assert (
        answer["error"]["code"] == "user_mistake"
        and "there is no update" in answer["error"]["message"]
    )
    moved.model("other", tiny_model("llama"), word_tokenizer(), "pretrained")
    answer, _ = exported(moved, {"model": "moved", "base": "other"}, dtype="bfloat16")
    assert (
        answer["error"]["code"] == "user_mistake"
        and "not two states of one model" in answer["error"]["message"]
    )


def test_weights_beyond_half_precision_are_refused_by_name(root, tiny_model, word_tokenizer):
    model = tiny_model("gpt2")
    with torch.no_grad():
        model.transformer.ln_f.weight[0] = 1e5
    root.model("large", model, word_tokenizer(), "align")
    answer, _ = exported(root, {"model": "large"}, dtype="float16")
    assert answer["error"]["code"] == "user_mistake"
    assert "transformer.ln_f.weight has entries of up to 1e+05" in answer["error"]["message"]


class Hub(http.server.BaseHTTPRequestHandler):
    """As much of a hub as taking a model needs; whoever has no token is refused."""

    def do_POST(self):  # noqa: N802
        body = self.rfile.read(int(self.headers["Content-Length"]))
        path, server = self.path.partition("?")[0], self.server
        server.asked.append(path)
        if server.status != 200:
            return self.reply({"error": server.message}, server.status)
        if self.headers.get("Authorization") != "Bearer hf_of_this_test":
            return self.reply({"error": "Invalid username or password."}, 401)
        if path == "/api/repos/create":
            server.made.append(json.loads(body))
            return self.reply({"url": f"{constants.ENDPOINT}/org/{server.made[-1]['name']}"})
        if path == "/api/validate-yaml":
            return self.reply({"errors": [], "warnings": []})
        if path.endswith("/preupload/main"):
            files = json.loads(body)["files"]
            return self.reply(
                {
                    "files": [
                        {"path": each["path"], "uploadMode": "regular", "shouldIgnore": False}
                        for each in files
                    ]
                }
            )
        lines = [json.loads(line) for line in body.splitlines()]
        server.files = {
            line["value"]["path"]: base64.b64decode(line["value"]["content"])
            for line in lines
            if line["key"] == "file"
        }
        url = f"{constants.ENDPOINT}/org/name/commit/{COMMIT}"
        return self.reply({"commitUrl": url, "commitOid": COMMIT})

    def reply(self, answer, status=200):
        content = json.dumps(answer).encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *words):
        pass


@pytest.fixture
def hub(monkeypatch):
    server = LocalServer(Hub)
    server.asked, server.made, server.files, server.status = [], [], {}, 200
    server.message = ""
    monkeypatch.setattr(constants, "ENDPOINT", server.address)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", "hf_of_this_test")
    yield server
    server.close()


def test_a_hub_gets_every_file_of_the_model_as_it_stands(moved, hub):
    artifact = done(moved, dtype="bfloat16", push_to="org/tiny-dpo")
    (made,) = hub.made
    assert (made["organization"], made["name"]) == ("org", "tiny-dpo")
    assert made["visibility"] == "private"
    assert hub.files == {
        name.removeprefix("model/"): artifact.read(name) for name in artifact.names("model/")
    }
    assert {"README.md", "config.json", "model.safetensors"} < set(hub.files)
    assert artifact.facts["pushed"] == {"repository": "org/tiny-dpo", "commit": COMMIT}


def test_who_is_not_logged_in_is_told_how(moved, hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_of_nobody")
    answer, _ = exported(moved, dtype="bfloat16", push_to="org/tiny")
    assert (
        answer["error"]["code"] == "user_mistake" and "hf auth login" in answer["error"]["message"]
    )
    assert "hf_of_nobody" not in json.dumps(answer)


def test_a_refusal_is_the_users_to_mend_and_a_broken_hub_is_not(moved, hub):
    hub.status, hub.message = 403, "You don't have the rights to create a model"
    answer, _ = exported(moved, dtype="bfloat16", push_to="org/tiny")
    assert (
        answer["error"]["code"] == "user_mistake"
        and "push_to org/tiny" in answer["error"]["message"]
    )
    hub.status, hub.message = 501, "out of order"
    answer, _ = exported(moved, dtype="bfloat16", push_to="org/tiny")
    assert answer["error"]["code"] != "user_mistake"
    assert answer["error"]["code"] == "surroundings"
    assert "cannot be pushed" in answer["error"]["message"]


def test_without_a_network_the_fault_is_the_surroundings(moved, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    answer, _ = exported(moved, dtype="bfloat16", push_to="org/tiny")
    assert answer["error"]["code"] == "surroundings"


@pytest.mark.parametrize("name", ["tiny", "hf://org/tiny", "org/tiny/v2", "org/ti ny"])
def test_what_is_no_repository_is_refused_when_the_study_is_planned(name):
    with pytest.raises(UserError, match="names no"):
        export.Params(dtype="bfloat16", push_to=name)
