"""Our part of a training step on a pretended GPU: the processor's weights, and no needless copy.

Gradients are the processor's, laid on the device: autograd cannot run on pretended GPUs. What TRL
does around our formula in a step asks for numbers on the host, and is not held here.
"""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from jobs.training.align_params import Params
from jobs.training.formula_objective import FormulaObjective
from jobs.training.health import Diverged, Health
from jobs.training.layout import Layout
from jobs.training.memory_watch import MemoryWatch
from jobs.training.objective import Lesson, ScoredPairs
from jobs.training.preference import PreferenceObjective
from jobs.training.recipe import Recipe, RecipeParams
from jobs.training.resume.best_weights import BestWeights
from jobs.training.resume.replicated_state import ReplicatedState
from jobs.training.supervision import Supervised
from jobs.training.tokenized_pairs import TokenizedPair
from tests.fake_gpu.fake_cuda import fake_gpus

pytestmark = pytest.mark.fake_gpu
PAIRS = [
    TokenizedPair(
        pair=at, split="train", prompt_ids=[3, 4], chosen_ids=[5 + at, 6], rejected_ids=[7, 8],
        truncated=False,
    )
    for at in range(2)
]  # fmt: skip
ROWS = [pair.prompt_ids + pair.chosen_ids for pair in PAIRS] + [
    pair.prompt_ids + pair.rejected_ids for pair in PAIRS
]


class Hinged(FormulaObjective):
    """A loss whose formula makes tensors of its own."""

    def losses(self, chosen, rejected, settings):
        return torch.relu(1 - settings["beta"] * (chosen - rejected))

    SETTINGS = PreferenceObjective.SETTINGS


class Trainer(Supervised):
    """Ours over none of TRL's; a backward pass lays given gradients on the device."""

    compute_loss_context_manager = staticmethod(torch.no_grad)

    def __init__(self, **given):
        vars(self).update(given)

    def _prepare_inputs(self, batch):
        return {name: tensor.to(self.model.device) for name, tensor in batch.items()}

    def compute_loss(self, model, inputs):
        def forward(input_ids, attention_mask, labels, use_cache, fused_lm_head):
            logits = self.model(
                input_ids=input_ids, attention_mask=attention_mask, use_cache=use_cache
            ).logits
            rows = logits[:, :-1].float().log_softmax(-1)
            kept = labels[:, 1:].clamp(min=0)
            chosen = rows.gather(2, kept[..., None])[..., 0]
            return SimpleNamespace(log_probs=chosen.masked_fill(labels[:, 1:] < 0, 0.0))

        return self._compute_loss(forward, inputs, False)

    def backward(self, loss):
        assert loss.device == self.model.device and loss.dim() == 0
        self.losses.append(loss)
        for weight, gradient in zip(self.model.parameters(), self.gradients, strict=True):
            weight.grad = gradient.to(weight.device, copy=True)


def batch(rows):
    """What the collator makes of pairs: chosen rows, then rejected ones, with the reference's."""
    ids = torch.tensor(ROWS)
    mask = torch.ones_like(ids)
    completion = mask.clone()
    completion[:, :2] = 0
    return {
        "input_ids": ids,
        "attention_mask": mask,
        "completion_mask": completion,
        "ref_chosen_logps": torch.tensor([-9.0, -8.0]),
        "ref_rejected_logps": torch.tensor([-7.0, -7.5]),
    }


@pytest.fixture
def trainer_of(tiny_model, monkeypatch):
    """A function: optimizer, device -> what our parts see of a trainer."""
    monkeypatch.setattr(
        PreferenceObjective,
        "make_trainer",
        lambda self, lesson: Trainer(model=lesson.model, train_dataset=range(2)),
    )
    first = tiny_model("gpt2")
    first.set_attn_implementation("eager")
    draw = torch.Generator().manual_seed(2)
    gradients = [torch.randn(weight.shape, generator=draw) for weight in first.parameters()]

    def build(optimizer, device):
        lesson = Lesson(
            model=copy.deepcopy(first).to(device),
            tokenizer=None,
            scored=ScoredPairs(pairs=PAIRS, chosen=np.zeros(2), rejected=np.zeros(2)),
            order=np.arange(2),
            arguments={},
            settings={"beta": 0.1},
            seed=0,
        )
        trainer = Hinged().make_trainer(lesson)
        settings = RecipeParams(optimizer=optimizer, learning_rate=1e-2, global_batch=2)
        recipe = Recipe(settings=settings, layout=Layout(micro_batch=2), steps=4)
        trainer.supervision = SimpleNamespace(recipe=recipe)
        trainer.optimizer = trainer.lr_scheduler = None
        trainer.model_wrapped, trainer.gradients, trainer.losses = trainer.model, gradients, []
        trainer.accelerator = SimpleNamespace(backward=trainer.backward)
        trainer.state = SimpleNamespace(global_step=0)
        trainer.data_collator, trainer.add_callback = batch, lambda callback: None
        return trainer

    return build


def two_steps(trainer, together=None):
    """Train for two steps; with `together`, as the many tensors of a GPU are stepped on."""
    optimizer, schedule = trainer.create_optimizer(), trainer.create_scheduler(4)
    for group in optimizer.param_groups:
        group["foreach"] = together if together is not None else group["foreach"]
    for _ in range(2):
        with torch.no_grad():
            loss = trainer.compute_loss(trainer.model, trainer._prepare_inputs(batch([0, 1])))
        trainer.accelerator.backward(loss)
        torch.nn.utils.clip_grad_norm_(trainer.model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()


@pytest.mark.parametrize(
    ("optimizer", "together"), [("rmsprop", True), ("rmsprop", False), ("adamw", None)]
)
def test_steps_and_their_checkpoint_are_those_of_the_processor(
    trainer_of, tmp_path, optimizer, together
):
    expected = trainer_of(optimizer, "cpu")
    two_steps(expected, together)
    for write in ReplicatedState().take(expected).values():
        write(tmp_path / "processor")
    with fake_gpus(1) as counts:
        trainer = trainer_of(optimizer, "cuda")
        num_gradients = len(trainer.gradients)
        counts.events.clear()
        two_steps(trainer, together)
        assert not counts.copied("to host")
        assert not [event for event in counts.waits() if event.kind == "read"], counts.waits()
        # Five tensors of a batch, and the gradients, which are laid there.
        assert len(counts.copied("to device")) == 2 * (5 + num_gradients)
        assert [loss.item() for loss in trainer.losses] == [loss.item() for loss in expected.losses]
        counts.events.clear()
        files = ReplicatedState().take(trainer)
        assert [event.where.split()[0] for event in counts.waits()] == ["cuda.synchronize"]
        on_gpu = [*trainer.model.parameters()]
        on_gpu += [part for state in trainer.optimizer.state.values() for part in state.values()]
        nbytes = sum(each.numel() * each.element_size() for each in on_gpu if each.is_cuda)
        assert sum(event.nbytes for event in counts.copied("to host")) == nbytes
        assert not counts.copied("to device")
    for write in files.values():
        write(tmp_path / "gpu")
    one, other = load_file(tmp_path / "processor"), load_file(tmp_path / "gpu")
    assert one.keys() == other.keys() and len(one) >= 2 * num_gradients
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


def test_memory_is_watched_and_weights_are_judged_where_they_are(trainer_of):
    params = Params(num_gpus=1, micro_batch=2, global_batch=2, steps=4, objective="hinge")
    with fake_gpus(1) as counts:
        trainer = trainer_of("rmsprop", "cuda")
        watch = MemoryWatch(trainer, params, PAIRS, np.arange(2))
        counts.events.clear()
        watch.begin(trainer.create_optimizer())
        assert len(trainer.losses) == 2
        assert all(weight.grad is None for weight in trainer.model.parameters())
        assert not counts.copied("to host")
        trainer.state.global_step = 4
        watch.end()
        assert watch.facts()["probed_gb"] == 0.0
        counts.events.clear()
        health = Health(SimpleNamespace(name="attempt", path=None))
        health.check_weights(trainer.model)
        assert len(counts.waits()) <= len(trainer.gradients)
        assert sum(event.nbytes for event in counts.copied("to host")) == 0
        with torch.no_grad():
            next(trainer.model.parameters())[0, 0] = float("nan")
        health._fault = lambda kind, error, hint: kind(error)
        with pytest.raises(Diverged, match=r"wte\.weight holds NaN"):
            health.check_weights(trainer.model)


def test_the_best_weights_leave_the_device_once_and_come_back(trainer_of):
    best = BestWeights()
    with fake_gpus(1) as counts:
        trainer = trainer_of("rmsprop", "cuda")
        first = [weight.detach().cpu().clone() for weight in trainer.model.parameters()]
        nbytes = sum(weight.numel() * weight.element_size() for weight in first)
        counts.events.clear()
        best.keep(trainer, 1)
        assert sum(event.nbytes for event in counts.copied("to host")) == nbytes
        with torch.no_grad():
            for weight in trainer.model.parameters():
                weight.zero_()
        best.put_back(trainer)
        assert sum(event.nbytes for event in counts.copied("to device")) == nbytes
        assert all(map(torch.equal, first, (w.detach().cpu() for w in trainer.model.parameters())))
