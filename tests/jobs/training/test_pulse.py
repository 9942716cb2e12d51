"""What a training run says of itself while it runs."""

from jobs.liveness.heartbeat import Phase
from jobs.liveness.pulse import Pulse
from tests.jobs.training.test_health import INPUTS, PARAMS


def test_a_training_run_notes_every_step_and_every_phase(scored, monkeypatch):
    phases, steps = [], []
    enter, note_step = Pulse.enter, Pulse.note_step

    def entered(self, phase):
        if not phases or phases[-1] is not phase:
            phases.append(phase)
        enter(self, phase)

    def noted(self, step, num_steps, unit="step"):
        if unit == "step":
            steps.append((step, num_steps))
        note_step(self, step, num_steps, unit)

    monkeypatch.setattr(Pulse, "enter", entered)
    monkeypatch.setattr(Pulse, "note_step", noted)
    params = {**PARAMS, "steps": 4, "checkpoint_every": 2, "validate_every": 3}
    answer, _ = scored.run("align", params, name="watched", **INPUTS)
    assert answer["state"] == "done", answer
    assert steps == [(step, 4) for step in range(1, 5)]
    order = [Phase.WORKING, Phase.LOADING, Phase.COMPILING, Phase.STEPPING, Phase.SAVING]
    assert [phase for phase in dict.fromkeys(phases) if phase is not Phase.VALIDATING] == order
    assert phases.count(Phase.VALIDATING) == 2  # after step 3 and after the last one
    assert phases[-1] is Phase.SAVING
