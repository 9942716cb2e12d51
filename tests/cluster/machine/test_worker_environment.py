from cluster.machine.worker_environment import worker_environment

SHELL = {
    "PATH": "/usr/bin",
    "HF_HOME": "/models",
    "HF_TOKEN": "planted-1",
    "WANDB_API_KEY": "planted-2",
    "AWS_SECRET_ACCESS_KEY": "planted-3",
    "HTTPS_PROXY": "http://me:planted-4@proxy:3128",
    "NO_PROXY": "localhost",
    "OPENAI_API_KEY": "planted-5",
    "GITHUB_PAT": "planted-6",
    "SLURM_JOB_ID": "7",
    "MY_LAB_SCRATCH": "/scratch",
    "MY_LAB_TOKEN": "planted-7",
    "LLM": "planted-8",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "PYTHONOPTIMIZE": "2",
    "PYTHONWARNINGS": "error",
    "OMP_PROC_BIND": "spread",
    "OMP_PLACES": "threads",
    "GOMP_CPU_AFFINITY": "0-63",
    "KMP_AFFINITY": "compact",
}


def test_only_what_libraries_read_is_seen_and_secrets_stand_apart():
    seen = worker_environment(SHELL)
    assert dict(seen.plain) == {"PATH": "/usr/bin", "HF_HOME": "/models", "NO_PROXY": "localhost"}
    assert set(seen.secret) == {
        *("HF_TOKEN", "WANDB_API_KEY", "AWS_SECRET_ACCESS_KEY", "HTTPS_PROXY"),
    }
    assert seen.all == {**seen.plain, **seen.secret}


def test_a_variable_that_a_study_reads_a_key_from_is_secret_whatever_it_is_called():
    assert worker_environment(SHELL, keys=["LLM"]).secret["LLM"] == "planted-8"
    assert "OPENAI_API_KEY" not in worker_environment(SHELL, keys=["LLM"]).all


def test_a_user_allows_more_by_name_or_by_how_names_begin():
    seen = worker_environment(SHELL, also=["MY_LAB_*", "SLURM_JOB_ID", "NOT_SET"])
    assert seen.plain["MY_LAB_SCRATCH"] == "/scratch"
    assert seen.plain["SLURM_JOB_ID"] == "7"
    assert seen.secret["MY_LAB_TOKEN"] == "planted-7"
