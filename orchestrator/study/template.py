"""The study that `deltascale new` writes: small, runs anywhere, and explains the language."""

from orchestrator.study.names import require_name

_TEMPLATE = """\
# A study: named axes, and stages over them.
#
#   deltascale plan @file@      what would run, and why
#   deltascale launch @file@    run it; the same command resumes
#
# It runs as it stands, in some minutes on two cores and with nothing to download: small models,
# trained from scratch on a generated language whose toxic words are known.
study: @name@
# entries: ./entries   # metrics, kinds, … of your own: `deltascale new NAME --entry metric`

# An axis value is a scalar, or a mapping with a name.
axes:
  model:
    - name: gpt2-36k
      config: {family: gpt2, num_layers: 2, d_model: 32, num_heads: 4, max_positions: 128}
    - name: gpt2-0.1m
      config: {family: gpt2, num_layers: 3, d_model: 48, num_heads: 4, max_positions: 128}
    - name: gpt2-0.26m
      config: {family: gpt2, num_layers: 3, d_model: 80, num_heads: 4, max_positions: 128}
  objective: [dpo, sft]
  seed: [0, 1]
  condition: [plain, rot13]

# A stage has one job per cell: its `over` axes times all axes of its inputs. A job takes the jobs
# of its inputs that agree with it on every axis they share. Values reach params only where they
# are written: ${axis} or ${axis.field}; ${DELTASCALE_DATA} is a folder of your own data.
stages:
  # Published models instead: {kind: pretrained, over: [model], params: {source: "hf://org/name"}}
  base:
    kind: pretrain
    over: [model]
    params:
      config: "${model.config}"
      format: nursery
      steps: 180
      learning_rate: 6.0e-3
      warmup_steps: 20

  # Your own: {source: "${DELTASCALE_DATA}/pairs.jsonl", format: prompt-chosen-rejected}
  pairs: {kind: pairs, params: {format: nursery}}
  texts:
    kind: prompts
    over: [condition]
    params: {format: nursery, transform: "${condition}"}
  reference: {kind: reference, inputs: {model: base, pairs: pairs}, params: {max_length: 64}}

  aligned:
    kind: align
    over: [objective, seed]
    where: [{seed: 0}, {model: gpt2-0.1m}]   # cells that match any of these: seed 1 on one rung
    inputs: {model: base, pairs: pairs, reference: reference}
    params:
      objective: "${objective}"
      seed: "${seed}"
      steps: 100
      global_batch: 16
      optimizer: adamw
      learning_rate: 2.0e-5
      warmup_steps: 15
      max_length: 64

  delta: {kind: extract, inputs: {base: base, aligned: aligned, prompts: texts}}

  # `where` on an input pins an axis: every condition is compared with the plain one.
  geometry:
    kind: measure
    inputs: {delta: delta, against: {stage: delta, where: {condition: plain}}}
  rates:
    kind: behave
    inputs: {model: aligned, prompts: texts, lexicon: pairs}   # lexicon: whose words are toxic
    params: {new_tokens: 4}
  rates-before:
    kind: behave
    inputs: {model: base, prompts: texts, lexicon: pairs}   # lexicon: whose words are toxic
    params: {new_tokens: 4}

  # A gathering stage takes all jobs of the stages it names: one table, or one per value of `per`.
  table: {kind: compare, gather: [geometry, rates, rates-before], per: []}
"""


def study_template(name: str, file: str) -> str:
    """Write the text of a new study.

    Args:
        name: of the study.
        file: name of its file, for the commands in its first lines.

    Raises:
        UserError: the name cannot be that of a study.
    """
    require_name("the study's name", name, file)
    return _TEMPLATE.replace("@name@", name).replace("@file@", file)
