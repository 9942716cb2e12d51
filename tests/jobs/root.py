"""An output root of published inputs, on which a test runs kinds through the worker's entry."""

import json
import shutil
from collections import Counter

import numpy as np
import pyarrow
import pyarrow.parquet

from analysis.long_table.files import from_parquet
from cluster.executor import Surroundings
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact, Record
from jobs.artifacts.identity import key_of
from jobs.artifacts.job import InputRef
from jobs.run import run
from jobs.worker.attempt_folder import AttemptFolder
from jobs.worker.measured_rows import FILE
from tests.jobs.assignments import assigned


class Root:
    """An output root in a folder; a test names what it publishes, and jobs where it helps."""

    def __init__(self, folder):
        self.folder = folder
        self.storage = Storage(folder)
        self._keys = {}
        self._times_published = Counter()

    def artifact(self, name):
        """Return the artifact that was published, or whose job was run, under a name."""
        return Artifact(self.storage, *self._keys[name])

    def take(self, name, root):
        """Copy the artifact of a name from another root."""
        self._times_published[name] += 1
        self._keys[name] = root._keys[name]
        artifact = root.artifact(name)
        shutil.copytree(root.folder / artifact.folder, self.folder / artifact.folder)

    def publish(self, name, kind, write, facts=None, inputs=None):
        """Publish an artifact whose files `write(folder)` makes."""
        self._times_published[name] += 1
        self._keys[name] = (kind, key_of({"name": name, "time": self._times_published[name]}))
        artifact = self.artifact(name)
        attempt = AttemptFolder(artifact, "1")
        write(attempt.path)
        record = Record(
            key=artifact.key,
            kind=kind,
            attempt="1",
            files=attempt.seal(),
            facts=facts or {},
            inputs=inputs or {},
        )
        assert self.storage.create(artifact.record_name, record.to_json())
        return artifact

    def model(self, name, model, tokenizer, kind="pretrain", facts=None):
        """Publish a checkpoint."""
        from jobs.models.loading import describe_model, save_checkpoint

        facts = {"model": describe_model(model.config), **(facts or {})}
        return self.publish(
            name, kind, lambda folder: save_checkpoint(model, tokenizer, folder / "model"), facts
        )

    def prompts(self, name, prompts, **facts):
        """Publish prompts."""
        text = "".join(json.dumps(prompt) + "\n" for prompt in prompts)
        return self.publish(
            name, "prompts", lambda folder: (folder / "prompts.jsonl").write_text(text), facts
        )

    def parquet(self, name, kind, rows, facts=None):
        """Publish rows, or a table of them, as the one file of an artifact, `KIND.parquet`."""
        table = rows if isinstance(rows, pyarrow.Table) else pyarrow.Table.from_pylist(rows)

        def write(folder):
            pyarrow.parquet.write_table(table, folder / f"{kind}.parquet")

        return self.publish(name, kind, write, facts)

    def toxic_directions(self, model, neurons, direction):
        """Publish what `probe-direction` would leave of a model: (layer, neuron), one direction."""
        from safetensors.numpy import save_file

        layers, numbers = (
            np.array(values, dtype=np.int64) for values in zip(*neurons, strict=True)
        )
        arrays = {
            "probe": direction,
            "svd": direction[None],
            "layers": layers,
            "neurons": numbers,
            "cosines": np.ones(len(neurons)),
            "vectors": np.tile(direction, (len(neurons), 1)),
        }
        return self.publish(
            f"toxic directions of {model.key}",
            "probe-direction",
            lambda folder: save_file(arrays, folder / "toxic_directions.safetensors"),
            inputs={model.key: model.record_digest},
        )

    def payload(self, kind, params, attempt="1", inputs=None, *, name=None, **more):
        """Return what a worker is handed, and the artifact of the job.

        `inputs` gives each slot an artifact or the name of one. Without a name the key is that of
        the params and the inputs.
        """
        artifacts = {
            slot: self.artifact(given) if isinstance(given, str) else given
            for slot, given in (inputs or {}).items()
        }
        if name is None:
            keys = {slot: artifact.key for slot, artifact in artifacts.items()}
            artifact = Artifact(
                self.storage, kind, key_of({"kind": kind, "params": params, "inputs": keys})
            )
        else:
            self._keys.setdefault(name, (kind, key_of({"kind": kind, "name": name})))
            artifact = self.artifact(name)
        assignment = assigned(
            root=self.storage.url,
            kind=kind,
            key=artifact.key,
            label=name or kind,
            attempt=attempt,
            inputs={
                slot: [InputRef(kind=given.kind, key=given.key, stage=slot, cell={})]
                for slot, given in artifacts.items()
            },
            own_params=params,
            **more,
        )
        return assignment.to_json(), artifact

    def run(self, kind, params, *, name=None, attempt="1", stop=lambda: False, **inputs):
        """Run one attempt as a worker does; return its answer and the artifact."""
        payload, artifact = self.payload(kind, params, attempt, inputs, name=name)
        return json.loads(run(payload, Surroundings(stop_requested=stop))), artifact

    def done(self, kind, params, **more):
        """Return the artifact of a job that must succeed; see `run`.

        Whatever kind it is: a number with an interval is kept without each of its prompt groups.
        """
        answer, artifact = self.run(kind, params, **more)
        assert answer["state"] == "done", answer
        if FILE in artifact.names():
            for row in from_parquet(artifact.read(FILE)).to_pylist():
                kept = [number for number in row["left_out"] or () if number is not None]
                assert len(kept) == (0 if row["low"] is None else row["num_groups"]), row
        return artifact

    def log_of(self, name):
        """Return the training log of a job."""
        text = self.artifact(name).read("training_log.jsonl").decode()
        return [json.loads(line) for line in text.splitlines()]
