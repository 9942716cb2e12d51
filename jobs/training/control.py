"""What a job of kind align leaves whose objective trains nothing: its base, saved once more."""

from typing import Any

from jobs.models.loading import describe_model, load_model, load_tokenizer, save_checkpoint
from jobs.training.model_card import base_on_hub, write_model_card
from jobs.worker import ranks
from jobs.worker.work import Work


def leave_as_is(work: Work) -> dict[str, Any]:
    """Write `model/` by the way of an aligned one, and an empty log; returns the record's facts."""
    work.progress(None, "loading")
    folder = work.input("model").directory("model")
    model = load_model(folder)
    facts = {
        "model": describe_model(model.config),
        "base_model": base_on_hub(work),
        "training": {"objective": work.params.objective, "steps": 0},
    }
    if ranks.is_first():
        save_checkpoint(model, load_tokenizer(folder), work.folder / "model")
        (work.folder / "training_log.jsonl").touch()
        write_model_card(work, "align", facts)
    ranks.barrier()
    return facts
