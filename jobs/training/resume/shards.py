"""What a checkpoint holds where DeepSpeed shards a run over its ranks, and how it comes back.

DeepSpeed decides what each rank writes. Its files are pickles, so they are read with nothing but
tensors, plain containers and three classes of its own allowed; the tensors in them are copied
between two steps, and written when the training loop has gone on.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from jobs.training.resume.checkpoints import Files

_TAG = "shards"
"""The folder that DeepSpeed puts its files in."""


class Sharded:
    """Takes checkpoints of one run and brings them back. All ranks do both together."""

    def take(self, trainer: Any) -> Files:
        """A copy of what DeepSpeed would have this rank write, as files to be written."""
        engine = trainer.model_wrapped
        copies = _Copies()
        engine.checkpoint_engine = copies
        # It would put scripts of its own beside the files.
        engine._copy_recovery_script = lambda folder: None
        engine.save_checkpoint(
            "/", tag=_TAG, save_latest=False, exclude_frozen_parameters=_has_frozen(trainer)
        )
        return {name: partial(_write, state) for name, state in copies.files.items()}

    def restore(self, trainer: Any, folder: Path) -> None:
        """Give DeepSpeed what it wrote."""
        engine = trainer.model_wrapped
        engine.checkpoint_engine = _Copies()
        path, _ = engine.load_checkpoint(
            str(folder), tag=_TAG, load_module_strict=not _has_frozen(trainer)
        )
        assert path is not None, f"DeepSpeed took nothing from {folder}"


class _Copies:
    """DeepSpeed's interface to storage: keeps copies of what is saved, loads with care."""

    def __init__(self) -> None:
        self.files: dict[str, Any] = {}

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Folders are made when files are written."""

    def create(self, info: Any) -> None:
        """A checkpoint begins."""

    def save(self, state_dict: Any, path: str) -> None:
        """Keep a copy under the name that the file has in the checkpoint."""
        self.files[path.lstrip("/")] = _copied(state_dict)

    def load(self, path: str, map_location: Any = None) -> Any:
        """The content of a file, if it holds nothing but what such files hold."""
        import torch
        from deepspeed.runtime.fp16.loss_scaler import LossScaler
        from deepspeed.runtime.zero.config import ZeroStageEnum
        from deepspeed.utils.tensor_fragment import fragment_address

        with torch.serialization.safe_globals([LossScaler, ZeroStageEnum, fragment_address]):
            return torch.load(path, map_location=map_location, weights_only=True)

    def commit(self, info: Any) -> bool:
        """All ranks have saved; our own marker says when all is written."""
        return True

    def is_data_parallel_writer(self, rank: int) -> bool:
        """The first writes what all of them hold."""
        return rank == 0

    def is_decoupled(self) -> bool:
        """No: when `save_checkpoint` returns, all is copied."""
        return False

    def preserves_storage_sharing(self) -> bool:
        """No: a copy of a slice is not a copy of what it is a slice of."""
        return False

    def cleanup(self) -> None:
        """Nothing is held."""


def _write(state: Any, path: Path) -> None:
    import torch

    torch.save(state, path)


def _copied(value: Any) -> Any:
    """The same, with every tensor copied to host memory."""
    import torch

    if isinstance(value, torch.Tensor):
        return torch.empty(value.shape, dtype=value.dtype).copy_(value.detach())
    if isinstance(value, Mapping):
        return {name: _copied(each) for name, each in value.items()}
    if isinstance(value, list | tuple) and type(value) in (list, tuple):
        return type(value)(_copied(each) for each in value)
    return value


def _has_frozen(trainer: Any) -> bool:
    return any(not parameter.requires_grad for parameter in trainer.model.parameters())
