"""Notes of several jobs that differ in their numbers alone are one line."""

from orchestrator.plan.joined_notes import join_notes


def test_notes_that_differ_in_numbers_are_one_with_all_values_in_order() -> None:
    form = "it takes about {} prompts for {} dimensions, and there are {}"
    texts = [form.format(f"{8 * d:,}", d, n) for d in (88, 32, 128) for n in (200, 199)]
    assert join_notes(texts) == [
        "it takes about 256, 704 or 1,024 prompts for 32, 88 or 128 dimensions, and there are "
        "199 or 200"
    ]


def test_many_values_are_a_range_and_equal_ones_are_said_once() -> None:
    texts = [f"{n} of 10 answers are shorter than 2.5 tokens." for n in range(1, 8)]
    assert join_notes(texts) == ["1 to 7 of 10 answers are shorter than 2.5 tokens."]
    assert join_notes([texts[0], texts[0]]) == [texts[0]]


def test_labels_paths_and_places_are_no_numbers() -> None:
    texts = [
        "it reads gpt2-36k",
        "it reads gpt2-42k",
        "a.jsonl:3 is blank",
        "a.jsonl:4 is blank",
        "it sends 2 texts to host:80",
        "it sends 2 texts to host:81",
        "step-10 of data/2/x",
        "step-20 of data/2/x",
    ]
    assert join_notes(texts) == texts
