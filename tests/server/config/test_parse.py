import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.config.diagnostics import ConfigError
from server.config.parse import DIAGNOSTICS_MAX, parse
from tests.server.configs import documents, plain

Path = tuple[str | int, ...]
ENTRY: Path = ("models", 0)

MISTAKES: list[tuple[Path, object, str]] = [
    ((*ENTRY, "version"), 2, "models[0].version: must be text (in quotes), not 2"),
    ((*ENTRY, "prior_accuracy"), "0.9", "models[0].prior_accuracy: must be a number, not '0.9'"),
    ((*ENTRY, "prior_accuracy"), True, "models[0].prior_accuracy: must be a number, not true"),
    ((*ENTRY, "prior_accuracy"), 1.5, "models[0].prior_accuracy: must be at most 1, not 1.5"),
    ((*ENTRY, "prior_accuracy"), float("nan"), "must be a finite number, not NaN"),
    ((*ENTRY, "prior_grades"), 0, "models[0].prior_grades: must be at least 1, not 0"),
    ((*ENTRY, "enabled"), "yes", "models[0].enabled: must be true or false, not 'yes'"),
    ((*ENTRY, "endpoints"), "a:1", "models[0].endpoints: must be a list, not 'a:1'"),
    ((*ENTRY, "endpoints"), None, "models[0].endpoints: must be a list, not nothing"),
    ((*ENTRY, "protocol"), "grpc", "models[0].protocol: must be 'oip' or 'openai', not 'grpc'"),
    ((*ENTRY, "price"), 3, "models[0].price: must be a mapping of keys to values, not 3"),
    ((*ENTRY, "price"), [3], "models[0].price: must be a mapping of keys to values, not a list"),
    ((*ENTRY, "price", "request_usd"), -1, "models[0].price.request_usd: must be at least 0"),
    ((*ENTRY, "price", "request_usd"), 1e10, "must be at most 1,000,000,000, not 10000000000.0"),
    ((*ENTRY, "name"), "Small", "models[0].name: must be 1 to 63 of a-z, 0-9, '.', '_' and '-'"),
    ((*ENTRY, "name"), "", "models[0].name: must be 1 to 63 of"),
    ((*ENTRY, "version"), 257 * "v", "models[0].version: must be at most 256 characters long"),
    ((*ENTRY, "endpoints"), 257 * ["a:1"], "must have at most 256 entries, not 257"),
    ((*ENTRY, "capabilities"), 65 * ["tools"], "must have at most 64 entries, not 65"),
    (("classes", 0, "flor"), 0.9, "classes[0].flor: unknown key 'flor': did you mean 'floor'?"),
    (("classes", 0, "x"), 1, "classes[0].x: unknown key 'x': known are aim, audit_rate,"),
    (("windows_s",), 5, "windows_s: unknown key 'windows_s': did you mean 'window_s'?"),
    (("classes", 0, "slo"), {"ms": 5}, "classes[0].slo.fraction: is missing. Of the requests"),
    (("classes", 0, "slo"), {"ms": 5, "fraction": 1}, "slo.fraction: must be below 1, not 1"),
    (("classes", 0, "slo", "metric"), "ttft", "slo.metric: must be 'total', not 'ttft'"),
    (("classes", 0, "match", "labels"), {257 * "k": ["v"]}, "must be at most 256 characters long"),
    (("classes", 0, "match", "labels"), {"k": "v"}, "match.labels.k: must be a list, not 'v'"),
    (("classes", 0, "priority"), 1.5, "classes[0].priority: must be a whole number, not 1.5"),
    (("window_s",), 0, "window_s: must be above 0, not 0"),
    (("size_buckets_tokens",), list(range(1, 10)), "must have at most 8 entries, not 9"),
    (("models",), {}, "models: must be a list, not a mapping"),
    (("models",), 100 * "x", f"models: must be a list, not '{59 * 'x'}..."),
]


@pytest.mark.parametrize(("at", "value", "words"), MISTAKES)
def test_a_mistake_in_one_key_says_what_would_be_right(at: Path, value: object, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(plain((at, value)))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (("listeners", "admin_token_file"), 51525354),
        (("listeners", "tls"), {"cert_file": "c", "key_file": ["51525354"]}),
        (("classes", 0, "match", "metadata"), {"x-key": "51525354"}),
        ((*ENTRY, "endpoints"), ["https://us:51525354@host"]),
        (("listeners", "data"), "us:51525354@host"),
    ],
)
def test_no_mistake_shows_what_may_be_a_secret(at: Path, value: object) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(plain((at, value)))
    assert "51525354" not in str(caught.value)


@pytest.mark.parametrize("document", [None, [], "text", 5, [{}]])
def test_what_is_no_mapping_is_no_configuration(document: object) -> None:
    with pytest.raises(ConfigError, match="must be a mapping of keys to values"):
        parse(document)


def test_what_an_unknown_key_leaves_empty_is_no_second_mistake() -> None:
    data = plain()
    data["classes"][0]["match"] = {"lables": {"app": ["a"]}}
    with pytest.raises(ConfigError) as error:
        parse(data)
    assert [p.path for p in error.value.diagnostics] == ["classes[0].match.lables"]


def test_an_empty_mapping_lacks_what_is_needed() -> None:
    with pytest.raises(ConfigError) as caught:
        parse({})
    assert str(caught.value) == (
        "models: is missing. What answers.\n"
        "classes: is missing. What is asked, and what has to hold for it."
    )


def test_a_key_of_any_characters_is_harmless_to_a_terminal() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(plain((("classes", 0, "match", "labels", "a\n\x1b[2J"), "x")))
    assert str(caught.value).startswith("classes[0].match.labels['a\\n\\x1b[2J']: must be a list")


def test_the_value_of_an_unknown_key_is_not_repeated_for_it_may_be_a_secret() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(plain((("listeners", "admin_token"), "hunter2")))
    assert "did you mean 'admin_token_file'?" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_long_list_of_problems_is_cut_and_says_so() -> None:
    document = plain((("budgets",), (DIAGNOSTICS_MAX + 5) * [{}]))
    with pytest.raises(ConfigError) as caught:
        parse(document)
    assert len(caught.value.diagnostics) == DIAGNOSTICS_MAX + 1
    assert caught.value.diagnostics[-1].message == "only the first 1,000 problems are listed"


def test_problems_come_in_the_order_of_the_file() -> None:
    lines = {("models", 0, "name"): 9, ("window_s",): 30, ("classes", 1, "floor"): 2}
    document = plain(*((path, -1) for path in lines))
    with pytest.raises(ConfigError) as caught:
        parse(document, lambda path: lines[path])
    assert [problem.line for problem in caught.value.diagnostics] == [2, 9, 30]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(document=json_values)
def test_any_data_is_read_or_refused_with_problems(document: object) -> None:
    _read_or_refuse(document)


@given(document=documents(), data=st.data())
@settings(max_examples=60)
def test_a_valid_file_with_any_part_replaced_is_read_or_refused_with_problems(
    document: dict[str, object], data: st.DataObject
) -> None:
    for _ in range(data.draw(st.integers(1, 4))):
        path = data.draw(st.sampled_from(list(_paths(document))))
        _put(document, path, data.draw(json_values))
    _read_or_refuse(document)


def _read_or_refuse(document: object) -> None:
    messages = ["read"]
    try:
        parse(document)
    except ConfigError as error:
        messages = [problem.message for problem in error.diagnostics]
    assert messages
    assert all(messages)


def _paths(node: object, at: Path = ()) -> list[Path]:
    children: list[tuple[str | int, object]] = []
    if isinstance(node, dict):
        children = list(node.items())
    elif isinstance(node, list):
        children = list(enumerate(node))
    found = [(*at, key) for key, _ in children]
    return found + [path for key, child in children for path in _paths(child, (*at, key))]


def _put(node: object, path: Path, value: object) -> None:
    *parents, key = path
    for part in parents:
        node = node[part]  # type: ignore[index] # the path was found in it
    node[key] = value  # type: ignore[index]
