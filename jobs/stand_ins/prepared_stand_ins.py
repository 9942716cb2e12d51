"""`PreparedStandIns`: the stand-ins of one rehearsal, each made once, and what they leave open."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xxhash

from cluster.errors import UserError
from jobs.hub import client as hub
from jobs.models.family import name_of_family
from jobs.stand_ins.known_model import KnownModel, guessed_family, look_at, require_readable
from jobs.stand_ins.small_config import WIDTH, small_fields
from jobs.stand_ins.stand_in_data import write_example
from jobs.text.data_file import suffix_of

if TYPE_CHECKING:
    from jobs.stand_ins.stand_in_model import WrittenModel

_READ = 200_000
"""Characters of each file that a tokenizer is made of."""
_GUESSED = {"num_layers": 12, "d_model": 768, "num_heads": 12, "vocab_size": 50257}
"""Sizes of a model that nothing here describes."""


@dataclass(kw_only=True)
class PreparedStandIns:
    """What stands in for models and data; fulfils `jobs.rehearsal.StandIns`."""

    folder: Path
    """Where the stand-ins are written."""
    keeps_layers: bool
    """Whether models keep their number of blocks, because the study names layers by number."""
    most_ranks: int = 1
    """Most processes that may train together."""
    texts: Callable[[], Iterable[Path]]
    """Lists files and folders whose texts a tokenizer may be made of."""
    is_absent: Callable[[str], bool] = lambda path: False
    """Whether a file of the study is data that are not here, not a mistake."""
    open: dict[str, None] = field(default_factory=dict)
    """What the rehearsal does without, in sentences, in the order of their discovery."""

    def replaced(self, what: str) -> None:
        """Remember something that the rehearsal does without."""
        self.open[what] = None

    def model(
        self, source: str, revision: str | None, file: str | None, config: object
    ) -> tuple[str, Mapping[str, Any] | None]:
        """Return the folder of a tiny model, and the real config.json; see the contract."""
        is_local = not hub.is_on_hub(source)
        if is_local and not os.path.exists(source) and not self.is_absent(source):
            return source, None
        if is_local:
            require_readable(Path(source), f"source {source}")
        known = look_at(source, revision, file)
        fields = config if isinstance(config, Mapping) else self._guessed(source, known)
        target = (
            self.folder
            / "models"
            / _named(source, revision, file, known.config is not None, sorted(fields.items()))
        )
        if not target.exists():
            self.replaced(f"{source}: the weights are a stand-in's, random and small")
            seed = xxhash.xxh3_64_intdigest(source.encode()) % 2**31
            written = self._write_model(target, known, fields, seed)
            if written.oddness:
                self.replaced(
                    f"{source}: no small model could be made of its config.json "
                    f"({written.oddness}), so the stand-in has the usual shape of its family"
                )
            if not written.has_real_tokenizer:
                self.replaced(
                    f"{source}: its tokenizer and its chat template are not here; a byte-level "
                    "one of the study's texts, with ChatML, stands in"
                )
        return str(target), known.config

    def _write_model(
        self, target: Path, known: KnownModel, fields: Mapping[str, Any], seed: int
    ) -> "WrittenModel":
        from jobs.stand_ins.stand_in_model import write_language_model

        unfinished = target.with_name(f"{target.name}.unfinished")
        written = write_language_model(
            unfinished, known, fields, self._texts, seed=seed, keeps_layers=self.keeps_layers
        )
        unfinished.rename(target)
        return written

    def _guessed(self, source: str, known: KnownModel) -> Mapping[str, Any]:
        if known.config is not None:
            return {"family": name_of_family(known.config), **_GUESSED}
        family = guessed_family(source)
        self.replaced(
            f"{source}: nothing here says what model it is, so the stand-in is a {family}; give "
            "`config` in the study, or fetch the model"
        )
        return {"family": family, **_GUESSED}

    def fields(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return our fields made small; see the contract."""
        try:
            return small_fields(config, keeps_layers=self.keeps_layers)
        except (UserError, TypeError):
            return dict(config)  # planning says what is wrong

    def classifier(self, source: str, revision: str | None, labels: Sequence[str]) -> str:
        """Return the folder of a tiny classifier; see the contract."""
        from jobs.stand_ins.stand_in_model import write_classifier

        if not hub.is_on_hub(source) and not os.path.isdir(source):
            return source
        target = self.folder / "classifiers" / _named(source, revision, *labels)
        if not target.exists():
            self.replaced(f"{source}: the weights of the classifier are random")
            unfinished = target.with_name(f"{target.name}.unfinished")
            known = look_at(source, revision)
            if not write_classifier(unfinished, known, labels, self._texts):
                self.replaced(f"{source}: it is not here, so its labels are taken as the study's")
            unfinished.rename(target)
        return str(target)

    def data(self, source: str, format_name: str, options: Mapping[str, Any]) -> str:
        """Return the data, or invented rows where they are not here; see the contract."""
        if not self.is_absent(source):
            return source
        target = self.folder / "data" / _named(source, format_name, sorted(options.items()))
        self.replaced(f"{source}: the data are not here; invented rows of {format_name!r} stand in")
        if target.exists():
            return str(target / Path(source).name)
        return str(write_example(target, source, format_name, options))

    def vector(self, source: str) -> str:
        """Return the file of a vector; see the contract."""
        import numpy as np

        if not os.path.isfile(source) and not self.is_absent(source):
            return source
        self.replaced(f"{source}: a random vector stands in, as wide as the stand-ins are")

        path = self.folder / "direction.npy"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, np.random.default_rng(0).standard_normal(WIDTH).astype(np.float32))
        return str(path)

    @cached_property
    def _texts(self) -> Sequence[str]:
        """Texts that a tokenizer is made of; the study's own data where they are here."""
        from jobs.text.example_texts import NUM_ROWS, phrases

        found = [text for path in self.texts() for text in _beginnings(path)]
        invented = phrases(12)
        return found or [next(invented) for _ in range(NUM_ROWS)]


def _beginnings(path: Path) -> Iterable[str]:
    """Yield the beginning of a file of text, or of those in a folder."""
    try:
        files = sorted(path.iterdir())[:4] if path.is_dir() else [path]
    except OSError:
        return
    for file in files:
        suffix = suffix_of(file.name).lower()
        if suffix in (".tsv", ".csv", ".jsonl", ".ndjson", ".json") or file.suffix == ".txt":
            try:
                with file.open(encoding="utf-8", errors="ignore") as lines:
                    yield lines.read(_READ)
            except OSError:
                continue


def _named(source: str, *parts: object) -> str:
    """Return a name for a stand-in: the end of its source, and a digest of what decides it."""
    digest = xxhash.xxh3_64_hexdigest(repr((source, *parts)).encode())[:8]
    end = "".join(letter if letter.isalnum() else "-" for letter in source.split("/")[-1])
    return f"{end}-{digest}"
