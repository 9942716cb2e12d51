"""A made-up study of two families, in the shape the real ones have."""

import random

import pytest

MODELS = [
    ("gpt2-33k", "gpt2", 33_024, 2, 32),
    ("gpt2-110k", "gpt2", 110_336, 3, 48),
    ("gpt2-240k", "gpt2", 240_192, 4, 64),
    ("gpt2-620k", "gpt2", 620_160, 6, 96),
    ("llama-55k", "llama", 55_296, 2, 32),
    ("llama-130k", "llama", 130_560, 4, 48),
]


@pytest.fixture(scope="session")
def study():
    """Rows of a whole study; llama-130k's DPO failed, SFT's second seed ran on one rung only."""
    return made_up_study()


def made_up_study():
    rng, rows = random.Random(0), []
    for name, family, size, depth, width in MODELS:
        facts = {
            "model": name,
            "family": family,
            "num_parameters": size,
            "num_parameters_non_embedding": size - 20 * width,
            "d_model": width,
            "num_layers": depth,
        }
        for condition in ("plain", "rot13", "base64"):
            rows.append(facts | behaviour(rng, {"condition": condition}, 0.48, size))
            for objective in ("dpo", "sft"):
                for seed in range(2 if name == "gpt2-110k" else 1):
                    where = {"objective": objective, "seed": seed, "condition": condition}
                    if name == "llama-130k" and objective == "dpo":
                        rows += [facts | failure(where, metric) for metric in METRICS]
                        continue
                    bypass = {"plain": 0.1, "rot13": 0.7, "base64": 0.8}[condition]
                    level = 0.48 * (bypass if objective == "dpo" else (bypass + 1) / 2)
                    rows.append(facts | behaviour(rng, where, level, size))
                    rows += [facts | row for row in geometry(rng, where, size, depth)]
    return rows


METRICS = ("toxic_mass", "offset_norm", "consistency", "participation_ratio", "captured_energy")


def failure(where, metric):
    why = {"status": "job_failed", "reason": "align failed 3 times: loss is NaN at step 40"}
    return where | why | {"metric": metric, "key": "dead"}


def behaviour(rng, where, level, size):
    value = level * (size / 1e5) ** -0.1 * rng.uniform(0.9, 1.1)
    row = {"metric": "toxic_mass", "value": value, "low": value * 0.9, "high": value * 1.1}
    return where | row | {"key": f"b{rng.getrandbits(32):08x}", "definition": "mass of the set"}


def geometry(rng, where, size, depth):
    for layer in range(depth):
        for centred in (False, True):
            for metric, base, slope in (
                ("offset_norm", 1.0, 0.3),
                ("consistency", 0.8, -0.1),
                ("participation_ratio", 4.0, 0.5),
                ("captured_energy", 0.6, -0.05),
            ):
                if centred and metric in ("offset_norm", "consistency"):
                    continue
                centring = {"centred": centred if metric == "participation_ratio" else None}
                scale = (0.2 + layer / depth) * {"plain": 1, "rot13": 0.7, "base64": 0.5}[
                    where["condition"]
                ]
                value = base * scale * (size / 1e5) ** slope * rng.uniform(0.93, 1.07)
                if metric == "captured_energy" and centred:
                    continue
                row = {"metric": metric, "value": value, "low": value * 0.85, "high": value * 1.15}
                quiet = metric == "consistency" and where["condition"] == "base64" and size < 5e4
                if quiet:
                    row |= {"status": "below_noise_floor", "reason": "not above the floor"}
                place = {"layer": layer, "depth": layer / max(depth - 1, 1), "position": "last"}
                known = {"site": "resid_mid", "key": f"g{rng.getrandbits(32):08x}"}
                yield where | row | centring | place | known
