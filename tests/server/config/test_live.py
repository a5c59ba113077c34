import pytest
from hypothesis import given, settings

from server.config.classes import SloConfig
from server.config.diagnostics import ConfigError
from server.config.live import Section, updated
from server.config.models import PriceConfig
from server.config.parse import parse
from server.config.schema import Config
from tests.server.configs import configs, plain

CONFIG = parse(plain())
MODEL = {
    "protocol": "oip",
    "endpoints": ["127.0.0.1:9"],
    "price": {"request_usd": 1},
    "prior_accuracy": 0.5,
}


def test_one_entry_changes_and_the_rest_stays() -> None:
    changed = updated(CONFIG, "models", "small", {"price": {"busy_second_usd": 2.0}})
    assert changed.models[0].price == PriceConfig(request_usd=0.001, busy_second_usd=2.0)
    assert changed.models[1:] == CONFIG.models[1:]
    assert (changed.classes, changed.budgets) == (CONFIG.classes, CONFIG.budgets)


def test_a_change_leaves_the_old_configuration_as_it_was() -> None:
    updated(CONFIG, "classes", "strict", {"floor": 0.7})
    assert parse(plain()) == CONFIG


@given(config=configs())
@settings(max_examples=30)
def test_changing_nothing_changes_nothing(config: Config) -> None:
    assert updated(config, "models", config.models[-1].name, {}) == config
    assert updated(config, "classes", config.classes[-1].name, {}) == config


def test_a_section_that_was_not_given_can_be_added() -> None:
    slo = {"ms": 100, "fraction": 0.9}
    assert updated(CONFIG, "classes", "rest", {"slo": slo}).classes[1].slo == SloConfig(
        ms=100, fraction=0.9
    )


def test_a_list_is_replaced_whole() -> None:
    changed = updated(CONFIG, "models", "large", {"endpoints": ["127.0.0.1:9"]})
    assert changed.models[1].endpoints == ("127.0.0.1:9",)


def test_a_model_is_added_at_the_end_where_that_is_allowed() -> None:
    changed = updated(CONFIG, "models", "new", MODEL, allow_missing=True)
    assert [model.name for model in changed.models] == ["small", "large", "new"]


@pytest.mark.parametrize(
    ("section", "name", "changes", "message"),
    [
        ("models", "smal", {}, "models: no entry is named 'smal': did you mean 'small'?"),
        ("classes", "x", {"floor": 1}, "classes: no entry is named 'x': known are rest, strict"),
        ("models", "small", {"price": {"request_usd": -1}}, "models[0].price.request_usd: must be"),
        ("models", "small", {"price": {"request_usd": 0}}, "models[0].price: is 0, and no model"),
        ("models", "small", {"name": "tiny"}, "models[0].name: 'small' keeps its name"),
        ("classes", "rest", {"floor": 0.99}, "classes[1].floor: 0.99 cannot be reached"),
        ("classes", "rest", {"slo": {"ms": 5}}, "classes[1].slo.fraction: is missing"),
        ("classes", "rest", {"default": False}, "classes: none has default: true"),
        ("budgets", "all", {"amount_usd": 0}, "budgets[0].amount_usd: must be above 0, not 0"),
        ("budgets", "all", {"kind": "hard"}, "budgets[0].kind: hard budgets are not built yet"),
    ],
)
def test_a_change_is_checked_as_the_file_is(
    section: Section, name: str, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        updated(CONFIG, section, name, changes)
    assert str(caught.value).startswith(message)


def test_the_last_enabled_model_cannot_be_drained() -> None:
    with pytest.raises(ConfigError, match="every model is drained"):
        updated(_without_large(), "models", "small", {"enabled": False})


def test_a_model_that_a_floor_needs_can_be_drained() -> None:
    assert not _without_large().models[1].enabled


def test_a_floor_out_of_reach_stops_no_change_elsewhere() -> None:
    changed = updated(_without_large(), "classes", "rest", {"floor": 0.5})
    assert changed.classes[1].floor == 0.5


def _without_large() -> Config:
    return updated(CONFIG, "models", "large", {"enabled": False})


KEYED: dict[str, object] = {
    "protocol": "openai",
    "endpoints": ["https://a.example/v1", "https://b.example/v1"],
    "price": {"request_usd": 1},
    "prior_accuracy": 0.5,
}
KEYS: list[dict[str, object]] = [
    {"api_key_env": "A_KEY"},
    {"api_key_file": "/run/key"},
    {"headers": [{"name": "x-key", "env": "A_KEY"}]},
]


@pytest.mark.parametrize("key", KEYS)
def test_a_change_of_where_a_key_goes_names_the_key_again(key: dict[str, object]) -> None:
    config = updated(CONFIG, "models", "hosted", KEYED | key, allow_missing=True)
    moved = {"endpoints": ["https://a.example/v1", "https://evil.example/v1"]}
    with pytest.raises(ConfigError, match=r"models\[2\].endpoints: would send what"):
        updated(config, "models", "hosted", moved)
    assert updated(config, "models", "hosted", moved | key).models[2].endpoints[1] == (
        "https://evil.example/v1"
    )


def test_each_secret_of_a_model_is_named_again() -> None:
    secrets = KEYS[0] | KEYS[2]
    config = updated(CONFIG, "models", "hosted", KEYED | secrets, allow_missing=True)
    moved = {"endpoints": ["https://evil.example/v1"]}
    with pytest.raises(ConfigError, match="would send what headers names to another place"):
        updated(config, "models", "hosted", moved | KEYS[0])
    assert updated(config, "models", "hosted", moved | secrets).models[2].api_key_env == "A_KEY"


@pytest.mark.parametrize("endpoints", [["https://a.example/v1"], ["https://b.example/v1"]])
def test_a_key_need_not_be_named_again_where_it_goes_nowhere_new(endpoints: list[str]) -> None:
    config = updated(CONFIG, "models", "hosted", KEYED | KEYS[0], allow_missing=True)
    assert updated(config, "models", "hosted", {"endpoints": endpoints, "enabled": False})
