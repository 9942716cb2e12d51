"""DPO with TRL as a person writes it: its trainer, its data preparation, its reference."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def bare_trainer(model_folder: Path, rows: list[dict[str, str]], output: Path, **how: Any) -> Any:
    """Return a `DPOTrainer` of a checkpoint on the processor; see `trainer_of`."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(model_folder, dtype="float32")
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    return trainer_of(model, tokenizer, rows, output, **{"use_cpu": True, **how})


def trainer_of(
    model: Any,
    tokenizer: Any,
    rows: list[dict[str, str]],
    output: Path,
    *,
    steps: int,
    batch: int,
    resident_reference: bool,
    **settings: Any,
) -> Any:
    """Return a `DPOTrainer` over texts.

    Args:
        model: with fp32 weights.
        tokenizer: of the texts.
        rows: prompt, chosen and rejected.
        output: where it writes.
        steps: optimizer steps.
        batch: pairs per step.
        resident_reference: keep the reference in memory and run it at every step; else TRL scores
            all pairs once, before it trains.
        settings: of DPOConfig, in place of what stands here.
    """
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    chosen: Mapping[str, Any] = {
        "output_dir": str(output),
        "max_steps": steps,
        "per_device_train_batch_size": batch,
        "gradient_accumulation_steps": 1,
        "learning_rate": 1e-6,
        "lr_scheduler_type": "constant",
        "optim": "rmsprop",
        "max_grad_norm": 10.0,
        "beta": 0.1,
        "max_length": None,
        "precompute_ref_log_probs": not resident_reference,
        "gradient_checkpointing": False,
        "bf16": False,
        "report_to": "none",
        "disable_tqdm": True,
        "save_strategy": "no",
        "seed": 0,
        **settings,
    }
    return DPOTrainer(
        model=model,
        args=DPOConfig(**chosen),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
    )
