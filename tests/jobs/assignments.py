"""Assignments as tests hand them to a worker."""

import json

from jobs.worker.assignment import Assignment


def assigned(*, root, kind, key, own_params, **more):
    """An assignment whose study says nothing but what is given."""
    given = {"root_id": "r", "study": "s", "label": kind, "identity_params": {}, "pins": {}}
    given |= {"inputs": {}, "attempt": "1", "worker": 0, "num_workers": 1, "threads": 1}
    given |= {"commit": None, "mirror_folder": f"{root}/wandb"}
    return Assignment(**{**given, **more}, root=root, kind=kind, key=key, own_params=own_params)


def with_params(payload, **params):
    """The same assignment, as JSON, with other params."""
    written = json.loads(payload)
    written["own_params"] |= params
    return json.dumps(written)
