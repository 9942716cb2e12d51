"""Data files of every suffix, format and role, changed in their rows or in their bytes."""

import bz2
import csv
import gzip
import io
import json
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz.mutation import changed_bytes, changed_tree, scalar, value
from tests.fuzz.run import Wrong

_TURNS = [{"role": "user", "content": "ask"}, {"role": "assistant", "content": "answer"}]
_ROWS: list[dict[str, Any]] = [
    {"prompt": "a b", "chosen": " c", "rejected": " d", "text": "t"},
    {"prompt": {"text": "a b", "toxicity": 0.2}, "continuation": {"text": "c"}, "filename": "f"},
    {"chosen": "\n\nHuman: hi\n\nAssistant: yes", "rejected": "\n\nHuman: hi\n\nAssistant: no"},
    {"messages": _TURNS, "chosen": _TURNS, "rejected": _TURNS, "prompt": _TURNS[:1]},
    {"conversations": [{"from": "human", "value": "x"}, {"from": "gpt", "value": "y"}]},
    {"toxic": "you fool", "neutral1": "you", "neutral2": "sir", "neutral3": ""},
    {"prompt_text": "a", "pert_gen_text": "b", "unpert_gen_text": "c"},
]
_STRANGE = ("\ud83d", "\udcff", "\x00", "\u2028", "\ufeff", "a\rb", '"', "'", "\\", "{", "[1")


class Fuzzer:
    """Reads one file a case."""

    def __init__(self, given: Path) -> None:
        from jobs.text.data_file import SUFFIXES
        from jobs.text.format import FORMATS

        self.formats = FORMATS.names()
        self.suffixes = sorted({*SUFFIXES, ".txt", ".json", ".jsonl.gz", ".jsonl.bz2", ".tsv"})
        self.options = {
            name: list(FORMATS.find(name).Options.model_fields) for name in self.formats
        }

    def case(self, rng: Random, work: Path) -> None:
        """Write a file, and read it as its format and role say."""
        from cluster.errors import UserError
        from jobs.text.format import read

        path = work / f"rows{rng.choice(self.suffixes)}"
        path.write_bytes(_written(path.name, _rows(rng), rng))
        name = rng.choice(self.formats)
        options = {option: value(rng) for option in self.options[name] if rng.random() < 0.15}
        try:
            read(rng.choice(("texts", "pairs", "prompts")), name, path, options)
        except UserError as fault:
            if len(str(fault)) > 20_000:
                raise Wrong(f"a message of {len(str(fault))} characters") from None
        finally:
            path.unlink()


def _rows(rng: Random) -> list[dict[str, Any]]:
    kind = rng.choice(_ROWS)
    rows = [dict(kind) for _ in range(rng.choice((0, 1, 3, 30)))]
    for number in range(len(rows)):
        if rng.random() < 0.3:
            rows[number] = changed_tree(rows[number], rng)
        elif rng.random() < 0.1 and isinstance(rows[number], dict):
            column = rng.choice(list(rows[number]))
            rows[number][column] = "a" + rng.choice(_STRANGE) + "b"
    return rows


def _written(name: str, rows: list[Any], rng: Random) -> bytes:
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    if rng.random() < 0.05:
        lines = lines.replace("a", rng.choice(("9" * 5000, "NaN", "[" * 3000)), 1)
    data = lines.encode()
    if name.endswith(".json"):
        data = json.dumps(rows).encode()
    elif name.endswith((".csv", ".tsv")):
        data = _delimited(rows, "\t" if "tsv" in name else ",")
    elif ".parquet" in name or ".arrow" in name:
        data = _columnar(rows, name, rng)
    if rng.random() < 0.35:
        data = changed_bytes(data, rng)
    if ".gz" in name:
        data = gzip.compress(data)
    elif ".bz2" in name:
        data = bz2.compress(data)
    if rng.random() < 0.1:
        data = changed_bytes(data, rng)
    return data


def _delimited(rows: list[Any], delimiter: str) -> bytes:
    stream = io.StringIO()
    columns = list(dict.fromkeys(name for row in rows if isinstance(row, dict) for name in row))
    writer = csv.writer(stream, delimiter=delimiter)
    writer.writerow(columns)
    for row in rows:
        writer.writerow([row.get(name) if isinstance(row, dict) else row for name in columns])
    return stream.getvalue().encode(errors="surrogatepass")


def _columnar(rows: list[Any], name: str, rng: Random) -> bytes:
    import pyarrow
    import pyarrow.parquet

    kept = [row for row in rows if isinstance(row, dict)] or [{"x": scalar(rng)}]
    try:
        table = pyarrow.Table.from_pylist(kept)
    except (pyarrow.ArrowException, TypeError, ValueError, OverflowError):
        table = pyarrow.table({"prompt": ["a"], "chosen": ["b"], "rejected": ["c"]})
    stream = io.BytesIO()
    try:
        if ".arrow" in name:
            with pyarrow.ipc.new_file(stream, table.schema) as writer:
                writer.write_table(table)
        else:
            pyarrow.parquet.write_table(table, stream)
    except pyarrow.ArrowException:
        return b"PAR1"
    return stream.getvalue()
