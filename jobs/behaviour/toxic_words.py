"""`ToxicWords`: the words of a list as one tokenizer writes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jobs.text.transform import Chain
from jobs.words.spellings import find_spellings
from jobs.words.token_texts import read_token_texts
from jobs.words.token_trie import build_trie
from jobs.words.word_mass import WordSet

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class ToxicWords:
    """A list of words, and how a tokenizer writes them where texts of a transform go on."""

    def __init__(
        self,
        words: Sequence[str],
        tokenizer: PreTrainedTokenizerBase,
        transform: Chain,
        *,
        must_end: bool = False,
    ) -> None:
        self.spellings = find_spellings(words, tokenizer, transform)
        """The tokens of each word, and how many words have any."""
        self.must_end = must_end
        """Whether a word counts only where it ends."""
        self._tokenizer = tokenizer
        self._sets: dict[int, WordSet] = {}

    @property
    def num_words(self) -> int:
        """Words on the list."""
        return self.spellings.num_words

    @property
    def num_covered(self) -> int:
        """Words that can be counted."""
        return self.spellings.num_covered

    def as_set(self, num_rows: int) -> WordSet:
        """Return the words as tokens of a model with so many rows in its vocabulary."""
        if num_rows not in self._sets:
            texts = read_token_texts(self._tokenizer, num_rows)
            written = [s for s in self.spellings.all if max(s.token_ids) < num_rows]
            self._sets[num_rows] = WordSet(
                trie=build_trie(written, texts, must_end=self.must_end), texts=texts
            )
        return self._sets[num_rows]
