"""A study of six probes in chains of three, and an end for each of its jobs."""

import json

from cluster.executor import Surroundings
from jobs.run import run
from orchestrator.dispatch.worker_messages import Assigner, write_request

CHAIN = """\
study: chain
axes:
  model: [{name: m1, size: 8}, {name: m2, size: 16}]
stages:
  base: {kind: probe, over: [model], params: {index: "${model.size}"}}
  next: {kind: probe, inputs: {after: base}, params: {index: 1, waits: true}}
  last: {kind: probe, inputs: {after: next}, params: {index: 2, waits: true}}
"""


def finish(root, job, attempt="one"):
    """Run a job of the chain to its end."""
    write_request(root, job)
    assigner = Assigner(storage=root, root_id="r", study="chain", commit="c0ffee")
    answer = json.loads(run(assigner.assignment(job, attempt).to_json(), Surroundings()))
    assert answer["state"] == "done", answer
