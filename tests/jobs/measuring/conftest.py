"""Models with something done to the weights of one block, and what the pipeline reads of them.

Truth is computed beside it by hooks of this file on the models themselves.
"""

import random

import numpy as np
import pytest
import torch

from analysis.long_table.files import from_parquet
from jobs.models.family import family_of


class Planted:
    """Three layers whose every weight is at random, and the block that is edited."""

    d_mlp, layer = 52, 1
    place = {"site": "resid_post", "layer": layer, "position": "last"}
    direction = torch.nn.functional.normalize(
        torch.randn(16, generator=torch.Generator().manual_seed(4)), dim=0
    )

    def __init__(self, root, tiny_model, tokenizer, plain_prompts):
        self.root, self.tokenizer = root, tokenizer
        self._tiny_model = tiny_model
        self._asked = {"plain": plain_prompts, "others": other_prompts()}
        self._published = {}

    def base(self, name, tied):
        """Of a family, with or without tied embeddings."""
        model = self._tiny_model(name, num_layers=3, max_positions=32, d_mlp=self.d_mlp, tie=tied)
        if name == "llama":
            model.config.rms_norm_eps = 1e-12  # or the squares of a row would not sum to d
            for module in model.modules():
                if hasattr(module, "variance_epsilon"):
                    module.variance_epsilon = 1e-12
        draw = torch.Generator().manual_seed(6)
        with torch.no_grad():
            for weight in model.parameters():
                weight.add_(0.1 * torch.randn(weight.shape, generator=draw))
        return model

    def mlp_of(self, model, name):
        """The edited block's MLP: where its keys, gates and value vectors are."""
        block = model.get_submodule(family_of(name).BLOCKS)[self.layer]
        return family_of(name).MLP, block

    def add_to_values(self, model, name, change):
        """Add [neurons, d] to the value vectors of the edited block."""
        paths, block = self.mlp_of(model, name)
        weight = block.get_submodule(paths.down).weight
        weight += change if name == "gpt2" else change.T

    def rows_through(self, model, name, path, prompts):
        """What goes into a module of the edited block at every token of the prompts, one by one."""
        seen = []
        _, block = self.mlp_of(model, name)
        module = block.get_submodule(path) if path else block
        handle = module.register_forward_pre_hook(lambda _, given: seen.append(given[0][0]))
        model.eval()
        with torch.no_grad():
            for prompt in prompts:
                text = "".join(part["text"] for part in prompt["segments"])
                model(torch.tensor(self.tokenizer(text)["input_ids"])[None])
        handle.remove()
        return [each.numpy().astype(np.float64) for each in seen]

    def published(self, base, aligned, name="aligned"):
        """Both as inputs of the kinds."""
        if "base" not in self._published:
            self._published["base"] = self.root.model("base", base, self.tokenizer)
        model = self.root.model(name, aligned, self.tokenizer, "align")
        return {"base": self._published["base"], "aligned": model}

    def extracted(self, models, name="plain", **more):
        """Their extraction on plain prompts, or on others of the same words."""
        if name not in self._published:
            self._published[name] = self.root.prompts(name, self._asked[name])
        params = {"layers": "all", "sites": ["resid_post"], "positions": ["last"], **more}
        return self.root.done("extract", params, **models, prompts=self._published[name])

    def rows(self, artifact):
        """All measurements of a job."""
        return from_parquet(artifact.read("measurements.parquet")).to_pylist()

    def numbers(self, artifact, **place):
        """(metric, centred) -> row, of one place."""
        here = [
            row
            for row in self.rows(artifact)
            if all(row[name] == value for name, value in place.items())
        ]
        return {(row["metric"], row["centred"]): row for row in here}


def other_prompts():
    """Other texts of the same words."""
    draw = random.Random(8)
    text = [
        "".join(f" word{draw.randrange(20)}" for _ in range(draw.randint(2, 9))) for _ in range(40)
    ]
    return [
        {"prompt": 100 + number, "group": number % 20, "segments": [{"role": "prompt", "text": t}]}
        for number, t in enumerate(text)
    ]


@pytest.fixture
def planted(root, tiny_model, word_tokenizer, plain_prompts):
    return Planted(root, tiny_model, word_tokenizer(eos_token="<end>"), plain_prompts)
