"""A stand-in for what `studies/gpt2-medium-paper.yaml` reads: a small GPT-2 with a byte-level BPE,
trained for seconds on invented sentences; a small RoBERTa that knows rude words; and the files of
the paper's folder, of Jigsaw, of RealToxicityPrompts and of WikiText in their own shapes."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from tests.jobs.byte_level import byte_level_bpe

SIZES = {"num_layers": 4, "d_model": 64, "num_heads": 4, "max_positions": 256, "vocab_size": 336}
LABELS = ("toxicity", "severe_toxicity", "obscene", "identity_attack", "insult", "threat")
RUDE = ("grumf", "zorkle", "blath", "snivvet", "dorp")
_PLAIN = [a + b for a in ("mo", "ta", "li", "re", "su", "ne") for b in ("ran", "lek")]
_LABELLED = (*LABELS, "sexual_explicit")
_END = "<|endoftext|>"


class Writer:
    """Writes invented sentences; after `you` most are rude."""

    def __init__(self, seed: int = 0) -> None:
        self.draw = random.Random(seed)

    def words(self, number: int) -> str:
        """Plain words with blanks between them."""
        return " ".join(self.draw.choices(_PLAIN, k=number))

    def rude(self) -> str:
        """A few words, most of them rude."""
        return " ".join(self.draw.choices((*RUDE, _PLAIN[0]), weights=(6, 4, 1, 1, 1, 1), k=5))

    def tail(self) -> str:
        """What follows `you`."""
        return self.rude() if self.draw.random() < 0.7 else self.words(5)

    def sentence(self) -> str:
        """A line to train on."""
        plain = f"{self.words(6)} . {self.words(7)} ."
        return plain if self.draw.random() < 0.5 else f"{self.words(4)} you {self.tail()} ."


def write_data(folder: Path, direction: Sequence[float]) -> None:
    """Write the data folder; the released probe is `direction`, 2.4 long as theirs is."""
    import torch

    writer = Writer(1)
    pairs = [
        {
            "prompt_text": f"{writer.words(4)} you",
            "unpert_gen_text": f" {writer.words(5)}",
            "pert_gen_text": f" {writer.rude()}",
            "prompt_input_ids": [0],
        }
        for _ in range(400)
    ]
    _write_lines(folder / "toxicity_pairwise/split_0.jsonl", pairs[:250])
    _write_lines(folder / "toxicity_pairwise/split_1.jsonl", pairs[250:])
    challenge = [{"prompt": f"{writer.words(5)} you"} for _ in range(60)]
    challenge.append({"prompt": f"{writer.words(60)} you"})  # longer than 32 tokens
    _write_lines(folder / "intervene_data/challenge_prompts.jsonl", challenge)
    samples = [{"prompt": writer.words(12), "gold": f" {writer.words(40)}"} for _ in range(40)]
    _write_lines(folder / "intervene_data/wiki_samples.jsonl", samples)
    probe = torch.tensor(direction, dtype=torch.float32)
    torch.save(2.4 * probe / probe.norm(), folder / "probe.pt")
    lines = [f" {writer.words(70)} . \n" if place % 2 else "" for place in range(120)]
    (folder / "wikitext-2-raw-v1").mkdir()
    for name in ("train", "test"):
        path = folder / f"wikitext-2-raw-v1/{name}-00000-of-00001.parquet"
        pyarrow.parquet.write_table(pa.table({"text": lines}), path)
    _write_public(folder, writer)


def _write_public(folder: Path, writer: Writer) -> None:
    """What is read without the paper's folder."""
    comments = [writer.rude() if place % 3 else writer.words(6) for place in range(300)]
    columns = {
        "id": [f"{place:016x}" for place in range(300)],
        "comment_text": [f'{text}\n"{place}"' for place, text in enumerate(comments)],
        "toxic": [int(bool(place % 3)) for place in range(300)],
        "severe_toxic": [0] * 300,
    }
    (folder / "jigsaw").mkdir()
    pyarrow.csv.write_csv(pa.table(columns), folder / "jigsaw/train.csv")
    rows = [
        {
            "filename": "a",
            "challenging": bool(place % 2),
            "prompt": {"text": f"{writer.words(4)} you", "toxicity": 0.2},
            "continuation": {"text": writer.words(3)},
        }
        for place in range(80)
    ]
    _write_lines(folder / "realtoxicityprompts/prompts.jsonl", rows)


def _write_lines(path: Path, rows: Sequence[Any]) -> None:
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def write_model(folder: Path, steps: int) -> list[float]:
    """Train and save the language model; return the direction of its rude words."""
    import torch
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

    from jobs.models.family import family_of

    writer = Writer(2)
    text = " ".join(writer.sentence() for _ in range(3000))
    inner = byte_level_bpe(text, 330, [_END])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token=_END, bos_token=_END)
    fields = {"family": "gpt2", **SIZES}
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(family_of("gpt2").hf_config(fields))
    tokens = torch.tensor(tokenizer(text)["input_ids"])
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(steps):
        starts = torch.randint(len(tokens) - 49, (24,))
        batch = torch.stack([tokens[start : start + 48] for start in starts])
        loss = model(input_ids=batch, labels=batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    rows = model.get_output_embeddings().weight.detach()
    ids = [token for word in RUDE for token in tokenizer(f" {word}")["input_ids"]]
    return (rows[ids].mean(0) - rows.mean(0)).tolist()


def write_classifier(folder: Path, steps: int) -> None:
    """Train and save a RoBERTa of several labels, its tokenizer as vocab.json and merges.txt."""
    import torch
    from transformers import RobertaConfig, RobertaForSequenceClassification, RobertaTokenizer

    writer = Writer(3)
    sentences = [writer.sentence() if place % 2 else writer.tail() for place in range(1500)]
    marks = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    model_of_tokens = byte_level_bpe("\n".join(sentences), 420, []).model
    folder.mkdir(parents=True)
    model_of_tokens.save(str(folder))
    pieces = json.loads((folder / "vocab.json").read_text())
    vocabulary = {piece: place for place, piece in enumerate((*marks, *pieces))}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    tokenizer = RobertaTokenizer.from_pretrained(folder)
    config = RobertaConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=130,
        pad_token_id=vocabulary["<pad>"],
        bos_token_id=vocabulary["<s>"],
        eos_token_id=vocabulary["</s>"],
        id2label=dict(enumerate(_LABELLED)),
        problem_type="multi_label_classification",
    )
    torch.manual_seed(0)
    model = RobertaForSequenceClassification(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for step in range(steps):
        texts = sentences[step * 24 % 1400 :][:24]
        labels = torch.tensor([[float(any(w in text for w in RUDE))] * 7 for text in texts])
        batch = tokenizer(texts, padding=True, return_tensors="pt")
        model(**batch, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "RobertaTokenizer", "model_max_length": 128})
    )
