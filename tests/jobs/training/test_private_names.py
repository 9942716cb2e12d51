"""Private names of libraries that training overrides or sets, held against the pinned releases."""

import inspect

import pytest
from transformers import Trainer, TrainingArguments
from trl import DPOTrainer, SFTTrainer

from jobs.training.memory_watch import _COUNTED
from jobs.training.preference import OurRows
from jobs.training.supervision import Supervised

OVERRIDDEN = {
    "_prepare_for_training": ["self", "max_steps", "train_dataloader", "resume_from_checkpoint"],
    "_load_from_checkpoint": ["self", "resume_from_checkpoint", "model"],
    "_load_rng_state": ["self", "checkpoint"],
    "_save_checkpoint": ["self", "model", "trial"],
    "_maybe_log_save_evaluate": None,
    "get_batch_samples": ["self", "epoch_iterator", "num_batches", "device"],
    "create_optimizer": ["self", "model"],
    "create_scheduler": ["self", "num_training_steps", "optimizer"],
    "training_step": None,
    "log": ["self", "logs", "start_time"],
}
"""Method of the Trainer -> its parameters; None where ours hands on whatever it gets."""


def source_of(*classes):
    return "\n".join(inspect.getsource(owner) for owner in classes if owner is not object)


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_the_trainer_calls_what_is_overridden_with_the_parameters_that_ours_take(name):
    assert name in vars(Supervised)
    expected = OVERRIDDEN[name]
    if expected is not None:
        assert list(inspect.signature(getattr(Trainer, name)).parameters) == expected
    assert f"self.{name}(" in source_of(*Trainer.__mro__)


def test_nothing_else_of_the_trainer_is_overridden():
    ours = {name for name, value in vars(Supervised).items() if inspect.isfunction(value)}
    theirs = {name for name in ours if hasattr(Trainer, name)} - {"__init__"}
    assert theirs - {"create_model_card"} == set(OVERRIDDEN)


@pytest.mark.parametrize("trainer", [DPOTrainer, SFTTrainer])
def test_trl_sends_telemetry_and_writes_cards_under_the_names_that_are_overridden(trainer):
    source = source_of(*trainer.__mro__)
    assert "self._send_telemetry(" in source
    assert "def create_model_card(" in source


def test_trl_prepares_rows_and_reference_by_the_names_that_are_overridden():
    source = source_of(DPOTrainer)
    for name in ("_prepare_dataset", "_precompute_ref_logps"):
        theirs = list(inspect.signature(getattr(DPOTrainer, name)).parameters)
        ours = list(inspect.signature(getattr(OurRows, name)).parameters)
        assert f"self.{name}(" in source and theirs[:2] == ours[:2], theirs
    assert len(inspect.signature(DPOTrainer._precompute_ref_logps).parameters) == 4


@pytest.mark.parametrize("name", _COUNTED)
def test_trl_counts_forward_passes_under_the_names_that_are_put_back(name):
    assert f"self.{name}" in source_of(*DPOTrainer.__mro__)


def test_attributes_that_are_set_from_outside_are_read():
    source = source_of(Trainer, TrainingArguments)
    for name in (
        *("self._n_gpu", "self._created_lr_scheduler", "self._prepare_inputs("),
        *("self.is_distributed_loading_by_transformers", "self.is_deepspeed_enabled"),
    ):
        assert name in source, name


def test_deepspeed_keeps_the_names_that_checkpoints_and_sessions_rely_on():
    import deepspeed
    from deepspeed import DeepSpeedEngine
    from deepspeed.comm import comm
    from deepspeed.runtime.zero.stage3 import DeepSpeedZeroOptimizer_Stage3
    from deepspeed.runtime.zero.stage_1_and_2 import DeepSpeedZeroOptimizer

    assert "self.checkpoint_engine.save(" in source_of(DeepSpeedEngine)
    assert "self._copy_recovery_script(" in source_of(DeepSpeedEngine)
    assert "deepspeed_shm_comm" in deepspeed.ops.__compatible_ops__
    assert hasattr(comm, "cdb")
    assert "self.fp32_partitioned_groups_flat" in source_of(DeepSpeedZeroOptimizer_Stage3)
    assert "self.single_partition_of_fp32_groups" in source_of(DeepSpeedZeroOptimizer)
