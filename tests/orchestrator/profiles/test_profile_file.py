"""Every kind of bad profile gets one message: what, where with its line, and the way on."""

import re

import pytest

from cluster.errors import UserError
from orchestrator.profiles.kind import PROFILE_KINDS
from orchestrator.profiles.profile_file import read_profile

GOOD = """\
kind: ray
address: head.example.org:6379
root: /scratch/me/deltascale
authentication: {file: ~/.ray/auth_token}
nodes:
  - {count: 4, cpus: 64, memory: 512GB, gpus: 8, gpu: A100-80GB, price: 12.5}
  - {count: 2, cpus: 32, memory: 240GiB}
currency: EUR
"""

BAD = {
    "tabs": ("kind: local\nnodes:\n\t- {cpus: 4}\n", 3, ["a tab cannot indent: use spaces"]),
    "tabs after spaces": ("kind: ray\nauthentication:\n  file: /a\n \tx: 1\n", 4, ["a tab cannot"]),
    "empty": ("", 1, ["mapping", "deltascale profile new"]),
    "list": ("- kind: local\n", 1, ["mapping"]),
    "no kind": ("root: /data\n", 1, ["'kind' is required", "local, ray"]),
    "unknown kind": ("kind: lokal\n", 1, ["'lokal'", "local, ray", "'local'?"]),
    "kind is a number": ("kind: 3\n", 1, ["'3'", "local, ray"]),
    "unknown field": ("kind: local\n\nnode: []\n", 3, ["'node'", "did you mean 'nodes'?"]),
    "twice": ("kind: local\nroot: /a\nroot: /b\n", 3, ["'root' is written twice", "line 2"]),
    "relative root": ("kind: local\nroot: results\n", 2, ["root", "whole path"]),
    "root of a variable": ("kind: local\nroot: $SCRATCH/x\n", 2, ["root", "not replaced"]),
    "root without a host": ("kind: local\nroot: s3:///x\n", 2, ["root", "s3://bucket/folder"]),
    "root with a password": ("kind: local\nroot: s3://me:abcdef123@host/x\n", 2, ["secret"]),
    "memory without unit": (
        "kind: local\nnodes:\n  - {cpus: 4}\n  - {cpus: 4, memory: 512}\n",
        4,
        ["nodes.1.memory", "512 has no unit", "512GB"],
    ),
    "memory in G": ("kind: local\nnodes: [{cpus: 4, memory: 512G}]\n", 2, ["'G'", "512GB?"]),
    "memory in cards": ("kind: local\nnodes: [{cpus: 4, memory: 3x}]\n", 2, ["'x'", "MB, GB, TB"]),
    "no memory": ("kind: local\nnodes: [{cpus: 4, memory: 0GB}]\n", 2, ["memory", "greater than"]),
    "wrong GPU": (
        "kind: local\nnodes: [{cpus: 4, gpus: 1, gpu: H10O}]\n",
        2,
        ["'H10O'", "did you mean 'H100'?", "MyGPU-80GB"],
    ),
    "GPUs of no type": ("kind: local\nnodes: [{cpus: 4, gpus: 8}]\n", 2, ["8 GPUs of which type"]),
    "GPU of no number": ("kind: local\nnodes: [{cpus: 4, gpu: H100}]\n", 2, ["how many H100"]),
    "no cores": ("kind: local\nnodes: [{memory: 4GB}]\n", 2, ["cpus", "required"]),
    "half a core": ("kind: local\nnodes: [{cpus: 0.5}]\n", 2, ["cpus", "integer"]),
    "nodes of a mapping": ("kind: local\nnodes: {cpus: 1}\n", 2, ["nodes", "write a list"]),
    "node of a text": ("kind: local\nnodes: [h100]\n", 2, ["nodes.0", "write a mapping"]),
    "modules of a text": (
        "kind: slurm\nenvironment:\n  modules: cuda\n",
        3,
        ["environment.modules", "write a list"],
    ),
    "setup of a mapping": (
        "kind: slurm\nenvironment: {setup: {a: b}}\n",
        2,
        ["environment.setup", "write a list"],
    ),
    "environment of a text": ("kind: slurm\nenvironment: x\n", 2, ["write a mapping"]),
    "price without currency": ("kind: local\nnodes: [{cpus: 4, price: 2}]\n", 1, ["currency: EUR"]),
    "price with currency": (
        "kind: local\ncurrency: EUR\nnodes:\n  - {cpus: 4, price: 2.5 EUR}\n",
        4,
        ["price", "number"],
    ),
    "price below nothing": ("kind: local\nnodes: [{cpus: 4, price: -2}]\n", 2, ["price"]),
    "currency is a number": ("kind: local\ncurrency: 3\n", 2, ["currency"]),
    "currency is a price": ("kind: local\ncurrency: 3 EUR\n", 2, ["currency", "EUR or USD"]),
    "nodes is one node": ("kind: local\nnodes: {cpus: 4}\n", 2, ["nodes"]),
    "node's field": ("kind: local\nnodes:\n  - {cpu: 4}\n", 3, ["'cpu'", "did you mean 'cpus'?"]),
    "variable is a number": (
        "kind: local\nenvironment:\n  variables: {OMP_NUM_THREADS: 4}\n",
        3,
        ["OMP_NUM_THREADS", "string"],
    ),
    "variable is a secret": (
        "kind: local\nenvironment:\n  variables:\n    WANDB_API_KEY: abc\n",
        3,
        ["WANDB_API_KEY", "a profile holds none"],
    ),
    "venv of this machine": (
        "kind: local\nenvironment:\n  venv: /x\n",
        3,
        ["'venv'", "variables"],
    ),
    "address of Ray Client": ("kind: ray\naddress: ray://h:10001\n", 2, ["host:port", "Client"]),
    "address without port": ("kind: ray\naddress: 10.0.0.1\n", 2, ["host:port"]),
    "limits of another kind": ("kind: ray\nlimits: {time: 24h}\n", 2, ["'limits'"]),
    "two tokens": (
        "kind: ray\nauthentication: {variable: A, file: /b}\n",
        2,
        ["authentication", "one of them"],
    ),
    "no token": ("kind: ray\nauthentication: {}\n", 2, ["authentication", "one of them"]),
    "token's variable": (
        "kind: ray\nauthentication:\n  variable: my token\n",
        3,
        ["name of an environment variable"],
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_profile_gets_one_message_with_its_line(tmp_path, name):
    text, line, phrases = BAD[name]
    path = tmp_path / "hpc.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as fault:
        read_profile(path)
    message = str(fault.value)
    assert (fault.value.where or "").split(":")[1] == str(line), message
    for phrase in phrases:
        assert phrase in message


TOKEN = "a1b2c3d4" * 8


@pytest.mark.parametrize(
    "written",
    [f"authentication: {TOKEN}", f"authentication: {{variable: {TOKEN}}}"]
    + [f"authentication: {{file: {TOKEN}}}", f"authentication: {{token: {TOKEN}}}"]
    + [f"authentication: [{TOKEN}]", f"token: {TOKEN}"],
)
def test_a_literal_token_is_refused_and_not_repeated(tmp_path, written):
    path = tmp_path / "hpc.yaml"
    path.write_text(f"kind: ray\n{written}\n")
    with pytest.raises(UserError) as fault:
        read_profile(path)
    assert TOKEN not in str(fault.value)
    assert fault.value.where == f"{path}:2"


def test_a_good_profile_gives_every_node(tmp_path):
    path = tmp_path / "hpc.yaml"
    path.write_text(GOOD)
    chosen = read_profile(path)
    assert chosen.name == "hpc" and chosen.profile.kind == "ray"
    large, small = chosen.machines[0], chosen.machines[-1]
    assert len(chosen.machines) == 6
    assert (large.num_gpus, large.gpu_memory_gb, large.gpu_name) == (8, 80, "A100-80GB")
    assert large.memory_gb == 512 and round(small.memory_gb, 1) == 257.7
    assert small.num_gpus == 0 and small.num_cpus == 32


@pytest.mark.parametrize("name", PROFILE_KINDS.names())
def test_what_profile_new_writes_can_be_read(tmp_path, name):
    path = tmp_path / "p.yaml"
    path.write_text(PROFILE_KINDS.find(name).TEMPLATE)
    assert read_profile(path).profile.kind == name


@pytest.mark.parametrize("name", ["local", "ray"])
def test_what_profile_new_leaves_commented_can_be_read_too(tmp_path, name):
    lines = PROFILE_KINDS.find(name).TEMPLATE.splitlines()
    bare = [
        line.removeprefix("# ") for line in lines if re.match(r"(# )?( +-|[a-z]+:|  \w+:)", line)
    ]
    fields = {line.partition(":")[0]: line for line in bare}  # the last of several ways
    path = tmp_path / "p.yaml"
    path.write_text("\n".join(fields.values()))
    chosen = read_profile(path)
    assert chosen.profile.root and chosen.profile.currency == "EUR"
    assert chosen.machines
