"""Pairs of the test split are seen by no training job."""

from safetensors.numpy import load_file

PARAMS = {"objective": "sft", "max_length": 32, "steps": 3, "learning_rate": 1e-3}


def trained(root, name, pairs):
    answer, _ = root.run("align", PARAMS, name=name, model="model", pairs=pairs)
    assert answer["state"] == "done", answer
    return root.artifact(name)


def test_training_and_validation_are_the_same_with_and_without_a_test_split(root, texts):
    unseen = [
        {**row, "pair": 500 + number, "split": "test", "chosen": row["rejected"]}
        for number, row in enumerate(texts)
    ]
    root.parquet("more", "pairs", unseen + texts)
    without, with_test = trained(root, "without", "pairs"), trained(root, "with", "more")
    ours, theirs = (
        load_file(each.path("model/model.safetensors")) for each in (without, with_test)
    )
    assert all((ours[name] == theirs[name]).all() for name in ours)
    losses = [each.facts["training"]["last"]["validation/loss"] for each in (without, with_test)]
    assert losses[0] == losses[1]
    counted = [each.facts["training"]["num_validation"] for each in (without, with_test)]
    assert counted == [8, 8]
