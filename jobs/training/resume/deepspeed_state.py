"""`DeepSpeedState`: what a checkpoint holds where DeepSpeed shards a run over its ranks.

DeepSpeed decides what each rank writes. Its files are pickles, so they are read with nothing but
tensors, plain containers and three classes of its own allowed; the tensors in them are copied
between two steps, and written when the training loop has gone on.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import torch
from torch import device
from transformers import Trainer

from jobs.training.resume.checkpoint_files import Files

_TAG = "shards"
"""The folder that DeepSpeed puts its files in."""


class DeepSpeedState:
    """Copies the state of one run to files, and back. All ranks do both together."""

    def take(self, trainer: Trainer) -> Files:
        """Copy what DeepSpeed would have this rank write, as files to be written."""
        engine = trainer.model_wrapped
        copies = _Copies()
        engine.checkpoint_engine = copies
        # DeepSpeed would put scripts of its own beside the files.
        engine._copy_recovery_script = lambda folder: None
        engine.save_checkpoint(
            "/", tag=_TAG, save_latest=False, exclude_frozen_parameters=_has_frozen(trainer)
        )
        return {name: partial(_write, state) for name, state in copies.files.items()}

    def restore(self, trainer: Trainer, folder: Path) -> None:
        """Have DeepSpeed load what it wrote."""
        engine = trainer.model_wrapped
        engine.checkpoint_engine = _Copies()
        path, _ = engine.load_checkpoint(
            str(folder), tag=_TAG, load_module_strict=not _has_frozen(trainer)
        )
        assert path is not None, f"DeepSpeed took nothing from {folder}"


class _Copies:
    """DeepSpeed's interface to storage: keeps copies of what is saved, loads with care."""

    def __init__(self) -> None:
        self.files: dict[str, object] = {}

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Do nothing: folders are made when files are written."""

    def create(self, info: object) -> None:
        """Do nothing where a checkpoint begins."""

    def save(self, state_dict: object, path: str) -> None:
        """Keep a copy under the name that the file has in the checkpoint."""
        self.files[path.lstrip("/")] = _copy(state_dict)

    def load(self, path: str, map_location: device | str | None = None) -> object:
        """Return the content of a file, if it holds nothing but what such files hold."""
        from deepspeed.runtime.fp16.loss_scaler import LossScaler
        from deepspeed.runtime.zero.config import ZeroStageEnum
        from deepspeed.utils.tensor_fragment import fragment_address

        with torch.serialization.safe_globals([LossScaler, ZeroStageEnum, fragment_address]):
            return torch.load(path, map_location=map_location, weights_only=True)

    def commit(self, info: object) -> bool:
        """Agree that all ranks have saved; our own marker says when all is written."""
        return True

    def is_data_parallel_writer(self, rank: int) -> bool:
        """Return True for the first rank, which writes what all of them hold."""
        return rank == 0

    def is_decoupled(self) -> bool:
        """Return False: when `save_checkpoint` returns, all is copied."""
        return False

    def preserves_storage_sharing(self) -> bool:
        """Return False: a copy of a slice is not a copy of what it is a slice of."""
        return False

    def cleanup(self) -> None:
        """Do nothing: no file is held open."""


def _write(state: object, path: Path) -> None:

    torch.save(state, path)


def _copy(value: object) -> object:
    """Copy nested containers, with every tensor copied to host memory."""
    if isinstance(value, torch.Tensor):
        return torch.empty(value.shape, dtype=value.dtype).copy_(value.detach())
    if isinstance(value, Mapping):
        return {name: _copy(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple) and type(value) in (list, tuple):
        return type(value)(_copy(inner) for inner in value)
    return value


def _has_frozen(trainer: Trainer) -> bool:
    return any(not parameter.requires_grad for parameter in trainer.model.parameters())
