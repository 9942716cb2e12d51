"""Kind `slurm`: a batch script per allocation, handed to SLURM from a login node.

In the allocation the same `launch` runs as anywhere, on the Ray that the script starts.
"""

from typing import cast

from orchestrator.plan.allocation_time import slurm_time
from orchestrator.plan.decided_plan import DecidedPlan
from orchestrator.profiles.kind import Finding, LaunchRequest, PlannedAllocation, ProfileKind
from orchestrator.profiles.profile import Profile
from orchestrator.profiles.slurm.fields import SlurmNodes, SlurmProfile
from orchestrator.text import pluralize

_TEMPLATE = """\
kind: slurm                     # batch scripts, submitted from a login node
root: /scratch/me/deltascale    # what all nodes share (write yours), or s3://bucket/folder

# Shapes of nodes, and how many of each one allocation may have. Stages without GPUs run on nodes
# without any, where there are such.
nodes:
  - {count: 2, cpus: 64, memory: 480GB, gpus: 8, gpu: A100-80GB, partition: gpu}
  # - {count: 1, cpus: 32, memory: 120GB, partition: cpu}

limits:
  time: 24h                     # most that one allocation may take; the study goes on in the next
  # account: my_project
  # qos: normal
  # save_before: 5min           # jobs are asked to save so long before the limit
  # again: requeue              # or chain: where SLURM does not queue a job again
  # allocations: 4              # with chain: how many may follow each other

environment:
  # venv: /scratch/me/deltascale/.venv   # as the nodes find it
  # modules: [cuda/12.4]
  variables: {}                 # what jobs see; never a secret

# options: [--constraint=a100]  # further options of sbatch
# scratch: /local               # a short path on each node's own disk (else SLURM's or /tmp)
# interface: ib0                # network between the nodes (else that of their names)
"""


class Slurm(ProfileKind):
    """Allocations of a SLURM cluster."""

    Fields = SlurmProfile
    SUMMARY = "a SLURM cluster: batch scripts, submitted from a login node"
    TEMPLATE = _TEMPLATE

    def launch(self, profile: Profile, request: LaunchRequest) -> int:
        """Write and submit the batch scripts of a study; return 0 once they are in the queue."""
        from orchestrator.profiles.slurm.submission import submit_study

        return submit_study(cast(SlurmProfile, profile), request)

    def allocations(self, profile: Profile, decided: DecidedPlan) -> list[PlannedAllocation]:
        """Cut what is to run into allocations, as a launch would."""
        from orchestrator.profiles.slurm.submission import plan_allocations

        return [one.planned for one in plan_allocations(cast(SlurmProfile, profile), decided)]

    def check(self, profile: Profile) -> list[Finding]:
        """Hold what it names against what the site has, on a machine that can ask SLURM."""
        from orchestrator.profiles.slurm.checking import check_site

        return check_site(cast(SlurmProfile, profile))

    def uses(self, profile: Profile) -> list[str]:
        """Say what it asks SLURM for in the user's name, and what its batch scripts run and set."""
        fields = cast(SlurmProfile, profile)
        limits = fields.limits
        time = f", for {slurm_time(limits.time)} each at most" if limits.time else ""
        return [
            *(f"submits batch jobs on up to {_nodes(fields, one)}{time}" for one in fields.nodes),
            *([] if fields.nodes else ["submits batch jobs"]),
            *([f"charges the account {limits.account}"] if limits.account else []),
            *([f"runs at the quality of service {limits.qos}"] if limits.qos else []),
            *(f"gives sbatch the option {option}" for option in fields.options),
            *([f"writes into {fields.scratch} of the nodes"] if fields.scratch else []),
            *([f"opens ports on the interface {fields.interface}"] if fields.interface else []),
            *fields.environment.uses,
        ]


def _nodes(profile: SlurmProfile, shape: SlurmNodes) -> str:
    """Return the text `2 nodes of partition gpu (gpu:a100:8)`."""
    partition = shape.partition or profile.limits.partition
    where = f" of partition {partition}" if partition else ""
    gres = shape.gres or (f"gpu:{shape.gpus}" if shape.gpus else "")
    own = ", ".join(part for part in (gres, "exclusive" if shape.exclusive else "") if part)
    return f"{pluralize(shape.count, 'node')}{where}{f' ({own})' if own else ''}"
