"""Of which prompts numbers are not is said once a model and transform."""

from analysis.long_table.circumstances import Circumstances, losses


def test_each_model_and_transform_is_told_once_and_the_first_few():
    how = "2 of 12 prompts are left out (2 longer than there is room for)"
    long = [("small", Circumstances(transform=name, left_out=how)) for name in "fedcba" * 2]
    whole = [("small", Circumstances(transform="plain"))]
    told = losses([*long, *whole, ("large", Circumstances(left_out=how))])
    assert told[:2] == [f"large, plain: {how}.", f"small, a: {how}."]
    assert told[4:] == ["So are prompts of 3 other models or transforms."]
    assert losses(whole) == []
