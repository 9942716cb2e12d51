"""Studies: those of this repository with params changed as their schema allows, and otherwise."""

import copy
import json
from pathlib import Path
from random import Random
from typing import Any

import yaml

from tests.fuzz.mutation import (
    FLOATS,
    INTEGERS,
    TEXTS,
    changed_bytes,
    changed_tree,
    scalar,
    value,
)
from tests.fuzz.run import command

_REPOSITORY = Path(__file__).parents[2]
_MACHINES = (
    *("1x0", "1x1xT4", "2x8xH100", "1000x8xH100", "1x1024xA100", "3x1xH200,1x0", "1x8xX-3GB"),
    *("", "x", "1x999999999xH100", "0x1xH100", "1x1", "1x8x", ","),
)


class Fuzzer:
    """Plans one study a case."""

    def __init__(self, given: Path) -> None:
        from orchestrator.study.schema import schema
        from orchestrator.study.template import study_template

        texts = [path.read_text() for path in sorted((_REPOSITORY / "studies").glob("*.yaml"))]
        texts.append((_REPOSITORY / "tests/end_to_end/miniature.yaml").read_text())
        texts.append(study_template("new", "new.yaml"))
        self.texts = texts
        self.studies = [yaml.load(text, yaml.CSafeLoader) for text in texts]
        self.schema = schema()
        self.definitions = self.schema["$defs"]
        self.expression = {"type": "string", "pattern": r"\$\{[^{}]+\}"}
        _write_data(given)
        self.given = given

    def case(self, rng: Random, work: Path) -> None:
        """Change a study, write it and plan it."""
        draw = rng.random()
        if draw < 0.15:
            data = changed_bytes(rng.choice(self.texts).encode(), rng)
        else:
            study = copy.deepcopy(rng.choice(self.studies))
            if draw < 0.75:
                for _ in range(rng.choice((1, 1, 1, 1, 2, 3))):
                    self._change_as_allowed(study, rng)
            elif draw < 0.85:
                study = self._drawn(rng)
            else:
                study = changed_tree(study, rng, rng.randrange(1, 4))
            data = _written(study)
        (work / "study.yaml").write_bytes(data)
        words = ["plan", "study.yaml", "--root", "root"]
        if rng.random() < 0.4:
            words += ["--machines", rng.choice(_MACHINES)]
        if rng.random() < 0.2:
            words.append("--json")
        command(*words)

    def _change_as_allowed(self, study: Any, rng: Random) -> None:
        """Give one param of one stage a value that its schema allows, or nearly."""
        stages = study["stages"]
        stage = stages[rng.choice(list(stages))]
        kind = str(stage.get("kind", "")).replace("_", "-")
        declared = self.definitions.get(f"{kind}.params", {}).get("properties", {})
        if not declared or rng.random() < 0.1:
            self._change_grid(study, stage, rng)
            return
        name = rng.choice(list(declared))
        params = stage.get("params")
        if not isinstance(params, dict):
            params = stage["params"] = {}
        params[name] = self._draw(declared[name], rng, 4)

    def _change_grid(self, study: Any, stage: Any, rng: Random) -> None:
        axes = study.setdefault("axes", {}) or {}
        draw = rng.randrange(6)
        if draw == 0:
            axes[rng.choice(TEXTS)] = [scalar(rng) for _ in range(rng.choice((0, 1, 3, 200)))]
        elif draw == 1:
            name = f"many{rng.randrange(9)}"
            axes[name] = list(range(rng.choice((2, 30, 300))))
            over = stage.get("over")
            stage["over"] = [*(over if isinstance(over, list) else []), name]
        elif draw == 2 and axes:
            axes.pop(rng.choice(list(axes)))
        elif draw == 3:
            stage["where"] = {rng.choice([*axes, "x"]): scalar(rng)}
        elif draw == 4:
            stage[rng.choice(("per", "gather", "over"))] = [*list(axes)[:2], *study["stages"]][:3]
        else:
            stage["inputs"] = {"model": rng.choice(list(study["stages"]))}

    def _drawn(self, rng: Random) -> Any:
        """Draw a study from the published schema, which knows nothing of names that must exist."""
        kinds = rng.sample(self.definitions["StageFields"]["properties"]["kind"]["enum"], 3)
        stages: dict[str, Any] = {}
        for kind in kinds:
            stage = {"kind": kind, "params": self._draw(self.definitions[f"{kind}.params"], rng, 4)}
            if stages:
                wanted = self._inputs_of(kind)
                stage["inputs"] = {
                    name: rng.choice(list(stages)) for name in wanted if rng.random() < 0.8
                }
            stages[kind] = stage
        return {"study": "drawn", "axes": {"x": [1, 2]}, "stages": stages}

    def _inputs_of(self, kind: str) -> list[str]:
        from jobs.kind import KINDS

        return list(KINDS.find(kind).INPUTS)

    def _draw(self, declared: Any, rng: Random, depth: int) -> Any:
        """Draw a value of a JSON Schema; now and then another one."""
        if rng.random() < 0.04 or depth == 0:
            return value(rng)
        if "$ref" in declared:
            name = declared["$ref"].removeprefix("#/$defs/")
            return self._draw(self.definitions[name], rng, depth - 1)
        for several in ("anyOf", "oneOf", "allOf"):
            if several in declared:
                plain = [one for one in declared[several] if one != self.expression]
                drawn = plain if plain and rng.random() < 0.95 else declared[several]
                return self._draw(rng.choice(drawn), rng, depth)
        if "const" in declared:
            return declared["const"]
        if "enum" in declared:
            return rng.choice(declared["enum"])
        kind = declared.get("type")
        if isinstance(kind, list):
            kind = rng.choice(kind)
        match kind:
            case "integer":
                least = declared.get("minimum", declared.get("exclusiveMinimum", -1) + 1)
                return max(least, rng.choice(INTEGERS)) if rng.random() < 0.9 else scalar(rng)
            case "number":
                return rng.choice((*FLOATS, *INTEGERS))
            case "boolean":
                return rng.random() < 0.5
            case "null":
                return None
            case "array":
                inside = declared.get("items", {})
                return [
                    self._draw(inside, rng, depth - 1) for _ in range(rng.choice((0, 1, 2, 20)))
                ]
            case "object":
                return self._draw_mapping(declared, rng, depth)
            case "string" if "pattern" not in declared:
                return rng.choice((*TEXTS, *(str(path) for path in sorted(self.given.iterdir()))))
        return rng.choice(("${x}", "${model}", "${model.config}", "${DELTASCALE_DATA}/x"))

    def _draw_mapping(self, declared: Any, rng: Random, depth: int) -> Any:
        drawn = {
            name: self._draw(inside, rng, depth - 1)
            for name, inside in declared.get("properties", {}).items()
            if name in declared.get("required", ()) or rng.random() < 0.3
        }
        more = declared.get("additionalProperties")
        if isinstance(more, dict):
            drawn[rng.choice(TEXTS)] = self._draw(more, rng, depth - 1)
        return drawn


def _written(study: Any) -> bytes:
    # JSON is YAML, and writes numbers and texts as they are.
    return json.dumps(study, indent=1).encode()


def _write_data(folder: Path) -> None:
    """Write the data that a drawn source may name."""
    rows = [{"prompt": f"p {i}", "chosen": " a", "rejected": " b", "text": "t"} for i in range(9)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "lines.txt").write_text("one line\nanother\n")
    (folder / "words.csv").write_text("a,b\n1,2\n")
    (folder / "empty").mkdir()
    (folder / "model").mkdir()
    config = {"model_type": "gpt2", "n_embd": 8, "n_layer": 1, "n_head": 1, "vocab_size": 9}
    (folder / "model/config.json").write_text(json.dumps(config))
    (folder / "model/model.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    (folder / "model/tokenizer.json").write_text("{}")
