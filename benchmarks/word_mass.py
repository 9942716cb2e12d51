"""The mass of 500 words after 1,000 prompts against one forward pass over each prompt.

    DELTASCALE_DATA=... python -m benchmarks.word_mass [--model PATH] [--rounds N] [--prompts N]

A trained model concentrates its mass, so its words are few to follow: `--model` takes the folder of
one, or a `.gguf` file. Without it, the tokenizer (byte-level BPE) is trained on wikitext-2, the
model (GPT-2's architecture) briefly too: the hard case. Prompts are tokens of other text; words are
drawn by a seed from those of the text. Both sides take turns; ratios are medians of wall-clock and
of processor time. The unpruned cost is measured once, over the first prompts.
"""

import os
import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.workload import arguments, settled, timed
from jobs.behaviour.next_token_probabilities import read_next_token_probabilities
from jobs.behaviour.toxic_masses import SHARE, read_toxic_masses
from jobs.behaviour.toxic_words import ToxicWords
from jobs.models.family import family_of
from jobs.text import corpus
from jobs.text.transform import load_transform
from jobs.tokens.plan import TokenPlan, build_token_plan
from jobs.tokens.positions import Position, find_positions
from jobs.words import word_mass

_TRAINED_TOKENS = 16 * 64
"""Tokens of one step of the brief training."""
_LEAST, _MOST = 3, 300
"""Words are drawn from those that occur so often."""
_BUDGET = 8192


@dataclass(frozen=True, kw_only=True, eq=False)
class Setting:
    """What both sides run on."""

    model: Any
    """The model."""
    plan: TokenPlan
    """Prompts."""
    positions: list[Position]
    """Their last tokens."""
    toxic: ToxicWords
    """The words."""

    @property
    def nowhere(self) -> np.ndarray:
        """No token."""
        return np.zeros(len(self.plan.token_ids), dtype=bool)

    def first(self, num_prompts: int) -> "Setting":
        """Return the same with fewer prompts."""
        plan = self.plan
        num = min(num_prompts, len(plan.prompts))
        size = int(plan.offsets[num])
        plan = TokenPlan(
            prompts=plan.prompts[:num],
            groups=plan.groups[:num],
            offsets=plan.offsets[: num + 1],
            token_ids=plan.token_ids[:size],
            roles=plan.roles[:size],
            segments=plan.segments[:size],
            final_segments=plan.final_segments[:num],
        )
        return replace(self, plan=plan, positions=find_positions(plan, ("last",), 0))

    def forward(self) -> None:
        """Forward every prompt once."""
        read_next_token_probabilities(
            self.model,
            self.plan,
            token_set=(),
            mass_after=self.positions[0].tokens,
            scored=self.nowhere,
            token_budget=_BUDGET,
        )

    def count(self, share: float) -> tuple[float, float]:
        """Count the words; return the mean mass and the mean of what is left."""
        masses, _ = read_toxic_masses(
            self.model,
            self.plan,
            self.toxic,
            positions=self.positions,
            scored=self.nowhere,
            token_budget=_BUDGET,
            share=share,
        )
        at = self.positions[0].tokens
        return float(masses.mass[at].mean()), float(masses.left[at].mean())


def main() -> None:
    """Print the table."""
    parser = arguments(__doc__)
    parser.add_argument("--model", type=Path, help="folder or .gguf file of a released model")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--unpruned", type=int, default=20, help="prompts without pruning; 0: none")
    parser.add_argument("--prompts", type=int, default=1000)
    parser.add_argument("--words", type=int, default=500)
    parser.add_argument("--length", type=int, default=32, help="tokens of a prompt")
    parser.add_argument("--word-ends", choices=("any", "required"), default="any")
    parser.add_argument("--vocab", type=int, default=8192)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--steps", type=int, default=300, help="steps of the brief training")
    chosen = parser.parse_args()
    print(settled(chosen))
    setting = prepare(chosen)
    spellings = setting.toxic.spellings
    several = np.mean([len(way.token_ids) > 1 for way in spellings.all if way.after_blank])
    print(
        f"{spellings.num_words} words, {several:.0%} of their forms after a blank in several "
        f"tokens, coverage {spellings.coverage}; {chosen.prompts} prompts of {chosen.length} tokens"
    )
    walls, processors, means = [], [], []
    with tallied() as tally:
        for _ in range(chosen.rounds):
            plain = timed(setting.forward)
            counted = timed(lambda: means.append(setting.count(SHARE)))
            walls.append(counted[0] / plain[0])
            processors.append(counted[1] / plain[1])
            print(f"  forward: cpu {plain[1]:.1f} s; counted: cpu {counted[1]:.1f} s")
    (mass, left), times = means[-1], chosen.rounds * chosen.prompts
    print(
        f"pruned to 1 %: {np.median(walls):.2f} x a forward pass, {np.median(processors):.2f} x in "
        f"processor time; mean mass {mass:.4g}, left {left / (mass + left):.2%} of it; "
        f"{tally.nodes / times:.0f} nodes a prompt, that many of its tokens would make "
        f"{1 + tally.nodes / times / chosen.length:.2f} x; {tally.tokens / times:.0f} tokens a "
        f"prompt, padding included, {tally.tokens / tally.passes:.0f} a pass"
    )
    if chosen.unpruned:
        few = setting.first(chosen.unpruned)
        plain = timed(few.forward)
        with tallied() as tally:
            whole = timed(lambda: few.count(0.0))
        print(
            f"unpruned, {len(few.plan.prompts)} prompts: {whole[0] / plain[0]:.1f} x, "
            f"{whole[1] / plain[1]:.1f} x in processor time; "
            f"{tally.tokens / len(few.plan.prompts):.0f} tokens a prompt"
        )


@dataclass
class Tally:
    """What was forwarded beside the prompts."""

    passes: int = 0
    """Forward passes over nodes of the trie."""
    nodes: int = 0
    """Nodes that were followed, each once."""
    tokens: int = 0
    """Tokens of these passes: nodes, their ancestors, and padding."""


@contextmanager
def tallied() -> Iterator[Tally]:
    """Yield what is forwarded over a trie in the block."""
    tally, forward = Tally(), word_mass.forward_tree

    def counting(model: Any, cache: Any, tree: Any) -> Any:
        tally.passes += 1
        tally.nodes += tree.num_nodes
        tally.tokens += tree.tokens.size
        return forward(model, cache, tree)

    word_mass.forward_tree = counting
    try:
        yield tally
    finally:
        word_mass.forward_tree = forward


def prepare(chosen: Any) -> Setting:
    """Load or train a model and its tokenizer, and draw words and prompts."""
    folder = Path(os.environ["DELTASCALE_DATA"]) / "wikitext-2"
    texts = (folder / "test.txt").read_text(encoding="utf-8")
    others = (folder / "valid.txt").read_text(encoding="utf-8")
    model, tokenizer = _trained(chosen, texts) if chosen.model is None else _released(chosen.model)
    draw = np.random.default_rng(0)
    frequent = Counter(re.findall(r"\b[a-z]{4,}\b", texts))
    pool = sorted(word for word, count in frequent.items() if _LEAST <= count <= _MOST)
    words = [str(word) for word in draw.choice(pool, chosen.words, replace=False)]
    ids = tokenizer(others, add_special_tokens=False)["input_ids"]
    starts = draw.choice(len(ids) - chosen.length, chosen.prompts, replace=False)
    plan = _plan_of(tokenizer, [ids[start : start + chosen.length] for start in starts])
    return Setting(
        model=model.eval(),
        plan=plan,
        positions=find_positions(plan, ("last",), 0),
        toxic=ToxicWords(
            words,
            tokenizer,
            load_transform("plain"),
            must_end=chosen.word_ends == "required",
        ),
    )


def _released(path: Path) -> tuple[Any, Any]:
    from jobs.models.gguf.checkpoint import write_checkpoint, write_tokenizer
    from jobs.models.loading import load_model, load_tokenizer

    with TemporaryDirectory() as scratch:
        folder = path
        if path.is_file():
            folder = Path(scratch)
            write_checkpoint(path, folder, str(path))
            write_tokenizer(path, folder, str(path))
        model = load_model(folder, dtype="float32", device="cpu")
        return model, load_tokenizer(folder)


def _trained(chosen: Any, texts: str) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModelForCausalLM

    tokenizer = corpus.train_tokenizer("text", texts.splitlines(), chosen.vocab)
    fields = {
        "family": "gpt2",
        "num_layers": chosen.layers,
        "d_model": chosen.width,
        "num_heads": chosen.width // 32,
        "vocab_size": len(tokenizer),
        "max_positions": 256,
    }
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(family_of("gpt2").hf_config(fields))
    tokens = torch.tensor(tokenizer(texts, add_special_tokens=False)["input_ids"])
    _train(model, tokens, chosen.steps)
    return model, tokenizer


def _train(model: Any, tokens: Any, steps: int) -> None:
    import torch

    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    begun = time.perf_counter()
    for step in range(steps):
        start = (step * _TRAINED_TOKENS) % (len(tokens) - _TRAINED_TOKENS)
        rows = tokens[start : start + _TRAINED_TOKENS].view(16, 64)
        loss = model(input_ids=rows, labels=rows).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    if steps:
        print(f"trained {steps} steps in {time.perf_counter() - begun:.0f} s, loss {loss:.2f}")


def _plan_of(tokenizer: Any, rows: list[list[int]]) -> TokenPlan:
    """Plan prompts of given tokens; texts would be cut again, to other lengths."""
    lines = [
        {"prompt": n, "group": n % 20, "segments": [{"role": "prompt", "text": "x"}]}
        for n in range(len(rows))
    ]
    plan, _ = build_token_plan(lines, tokenizer, len(rows[0]))
    flat = np.array(rows, dtype=np.int32).ravel()
    return TokenPlan(
        prompts=plan.prompts,
        groups=plan.groups,
        offsets=np.arange(len(rows) + 1) * len(rows[0]),
        token_ids=flat,
        roles=np.full(len(flat), plan.roles[0]),
        segments=np.zeros(len(flat), dtype=np.int16),
        final_segments=plan.final_segments,
    )


if __name__ == "__main__":
    main()
