from server.telemetry.labels import OTHER, VALUES_MAX, Labels


def test_values_beyond_the_most_share_one_name() -> None:
    labels = Labels()
    names = [labels.bounded({"model": f"m{n}"})["model"] for n in range(VALUES_MAX + 20)]
    assert names == [f"m{n}" for n in range(VALUES_MAX)] + [OTHER] * 20


def test_a_value_that_had_a_name_keeps_it() -> None:
    labels = Labels(values_max=1)
    labels.bounded({"model": "first"})
    labels.bounded({"model": "second"})
    assert labels.bounded({"model": "first"}) == {"model": "first"}


def test_labels_are_counted_apart() -> None:
    labels = Labels(values_max=1)
    assert labels.bounded({"model": "m", "class": "c"}) == {"model": "m", "class": "c"}
