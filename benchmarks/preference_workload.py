"""A random model, random pairs and an output root, for the benchmarks of training.

Nothing is downloaded. Jobs run through the worker's own entry, `jobs.run:run`.
"""

import hashlib
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.executor import Surroundings
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact, Record
from jobs.artifacts.job import InputRef
from jobs.run import run
from jobs.worker.assignment import Assignment
from jobs.worker.attempt_folder import AttemptFolder


def gpt2_fields(
    *, num_layers: int, d_model: int, num_heads: int, vocab_size: int
) -> dict[str, Any]:
    """Return our fields of a GPT-2 of 256 positions."""
    shape = {"num_layers": num_layers, "d_model": d_model, "num_heads": num_heads}
    return {"family": "gpt2", "vocab_size": vocab_size, "max_positions": 256, **shape}


@dataclass(frozen=True, kw_only=True)
class PreferenceWorkload:
    """A model's shape, and the pairs it is trained on."""

    fields: Mapping[str, Any]
    """Our fields of its config."""
    num_pairs: int = 64
    """Pairs for training."""
    num_validation: int = 0
    """Pairs held out, beside them."""
    prompt_tokens: int
    """Tokens of every prompt."""
    completion_tokens: int
    """Tokens of every completion."""

    def __str__(self) -> str:
        fields = self.fields
        return (
            f"{fields['family']}, {fields['num_layers']} layers, d = {fields['d_model']}; pairs of "
            f"{self.prompt_tokens} + {self.completion_tokens} tokens"
        )

    def texts(self, *, shorter_by: int = 0) -> list[dict[str, str]]:
        """prompt, chosen and rejected of every pair: one word is one token.

        `shorter_by` words are left off completions, for whoever appends tokens of their own.
        """
        drawn = random.Random(17)
        words = int(self.fields["vocab_size"]) - 2
        kept = self.completion_tokens - shorter_by

        def text(count: int) -> list[str]:
            return [f"word{drawn.randrange(words)}" for _ in range(count)]

        return [
            {
                "prompt": " ".join(text(self.prompt_tokens)),
                "chosen": " ".join(text(self.completion_tokens)[:kept]),
                "rejected": " ".join(text(self.completion_tokens)[:kept]),
            }
            for _ in range(self.num_pairs + self.num_validation)
        ]


def word_tokenizer(vocab_size: int) -> Any:
    """Return a tokenizer of words between blanks: `word0` and so on, one token each."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    names = ["<unk>", "<end>", *(f"word{number}" for number in range(vocab_size - 2))]
    inner = Tokenizer(
        models.WordLevel({name: number for number, name in enumerate(names)}, unk_token="<unk>")
    )
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, eos_token="<end>", pad_token="<end>", unk_token="<unk>"
    )


def random_checkpoint(workload: PreferenceWorkload, folder: Path) -> None:
    """Write a checkpoint of random weights with a tokenizer of words between blanks."""
    import torch
    from transformers import AutoModelForCausalLM

    from jobs.models.family import family_of
    from jobs.models.loading import save_checkpoint

    torch.manual_seed(3)
    config = family_of(workload.fields["family"]).hf_config(workload.fields)
    tokenizer = word_tokenizer(int(workload.fields["vocab_size"]))
    save_checkpoint(AutoModelForCausalLM.from_config(config), tokenizer, folder)


class BenchmarkRoot:
    """An output root that holds `model` and `pairs`, and runs jobs on them."""

    def __init__(self, folder: Path, workload: PreferenceWorkload) -> None:
        self.storage = Storage(folder)
        self._keys: dict[str, tuple[str, str]] = {}
        self._publish("model", "pretrained", lambda path: random_checkpoint(workload, path))
        self._publish("pairs", "pairs", lambda path: _write_pairs(workload, path), file=True)

    def folder_of(self, name: str) -> Path:
        """Return the local folder `model` of an artifact."""
        return self.artifact(name).directory("model")

    def run(
        self,
        name: str,
        kind: str,
        params: Mapping[str, Any],
        inputs: Mapping[str, str],
        *,
        attempt: str = "1",
        **more: Any,
    ) -> dict[str, Any]:
        """Run one job in the surroundings `more` gives; the facts of its record.

        Raises:
            RuntimeError: it is not done; says why.
        """
        self.begin(name, kind)
        payload = self._payload(name, params, inputs, attempt)
        answer = json.loads(run(payload, Surroundings(**more)))
        if answer["state"] != "done":
            fault = answer.get("error") or answer
            raise RuntimeError(f"job {name}: {fault.get('message', fault)}")
        found = self.artifact(name).find_record()
        assert found is not None
        return dict(found[0].facts)

    def _payload(
        self, name: str, params: Mapping[str, Any], inputs: Mapping[str, str], attempt: str
    ) -> str:
        kind, key = self._keys[name]
        refs = {
            slot: [InputRef(kind=self._keys[of][0], key=self._keys[of][1], stage=of, cell={})]
            for slot, of in inputs.items()
        }
        assignment = Assignment(
            root=self.storage.url, root_id="benchmark", study="benchmark", kind=kind, key=key,
            label=name, identity_params={}, own_params=dict(params), pins={}, inputs=refs,
            attempt=attempt, worker=0, num_workers=1, threads=int(params.get("num_cpus", 1)),
            commit=None, mirror_folder=str(self.storage.path("wandb")),
        )  # fmt: skip
        return assignment.to_json()

    def begin(self, name: str, kind: str) -> None:
        """Give a job of this name its place in the root."""
        self._keys[name] = (kind, _key(name))

    def artifact(self, name: str) -> Artifact:
        """Return the artifact of a job that ran, or of what the root began with."""
        return Artifact(self.storage, *self._keys[name])

    def _publish(self, name: str, kind: str, write: Any, *, file: bool = False) -> None:
        self._keys[name] = (kind, _key(name))
        artifact = self.artifact(name)
        attempt = AttemptFolder(artifact, "1")
        write(attempt.path / ("pairs.parquet" if file else "model"))
        record = Record(key=artifact.key, kind=kind, attempt="1", files=attempt.seal(), facts={})
        assert artifact.storage.create(artifact.record_name, record.to_json())


def _key(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def _write_pairs(workload: PreferenceWorkload, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    rows = [
        {
            "pair": number,
            **texts,
            "split": "train" if number < workload.num_pairs else "validation",
            "group": number % 20,
        }
        for number, texts in enumerate(workload.texts())
    ]
    parquet.write_table(pa.Table.from_pylist(rows), path)
