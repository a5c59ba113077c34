import pytest
from hypothesis import given, settings

from server.config.check import findings
from server.config.diagnostics import ConfigError
from server.config.parse import parse
from server.config.rules import KEYWORDS_MAX
from server.config.schema import Config
from tests.server.configs import configs, plain

Path = tuple[str | int, ...]

MODEL = {
    "name": "third",
    "protocol": "openai",
    "endpoints": [],
    "price": {"input_usd_per_mtok": 1},
    "prior_accuracy": 0.5,
}
KEYWORDS: Path = ("classes", 0, "match", "keywords")

MISTAKES: list[tuple[Path, object, str, str]] = [
    (("models", 0, "endpoints"), [], "models[0].endpoints", "at least one host:port"),
    (("models", 0, "endpoints", 0), "localhost", "models[0].endpoints[0]", "host:port or unix:/"),
    (("models", 0, "endpoints", 0), "a b:1", "models[0].endpoints[0]", "must be host:port"),
    (("models", 0, "endpoints", 0), "a:0", "models[0].endpoints[0]", "must be 1 to 65535"),
    (("models", 0, "endpoints", 0), "a:65536", "models[0].endpoints[0]", "must be 1 to 65535"),
    (("models", 0, "endpoints", 0), "unix:a", "models[0].endpoints[0]", "an absolute path"),
    (("models", 0, "endpoints", 0), f"unix:/{100 * 'a'}", "models[0].endpoints[0]", "100 bytes"),
    (("models", 1, "endpoints", 1), "127.0.0.1:8002", "models[1].endpoints[1]", "listed twice"),
    (("models", 0, "price"), {}, "models[0].price", "no model is free"),
    (("models", 0, "price", "request_usd"), 0, "models[0].price", "no model is free"),
    (("models",), [{**MODEL, "enabled": False}], "models", "leave at least one enabled"),
    (("models",), [], "models", "give at least one model"),
    (("models", 1, "name"), "small", "models[1].name", "'small' is taken"),
    (("classes", 1, "name"), "strict", "classes[1].name", "'strict' is taken"),
    (("classes", 0, "floor_when_short"), 0.99, "classes[0].floor_when_short", "above the floor"),
    (("classes", 1, "floor_when_short"), 0.5, "classes[1].floor_when_short", "there is no floor"),
    (("classes", 1, "aim"), "best", "classes[1].aim", "best_within_budget"),
    (("classes", 1, "domain_floor"), 0.99, "classes[1].domain_floor", "cannot be reached"),
    (("classes", 1, "name"), "auto", "classes[1].name", "'auto' is what callers say"),
    (("classes", 1, "default"), False, "classes", "none has default: true"),
    (("classes",), [], "classes", "none has default: true"),
    (("classes", 0, "default"), True, "classes[1].default", "the default is 'strict' already"),
    (("classes", 0, "floor"), 0.96, "classes[0].floor", "is large with a prior_accuracy of 0.95"),
    (("classes", 0, "audit_rate"), 0.1, "classes[0].audit_rate", "set grades: caller"),
    (("classes", 0, "grades"), "caller", "classes[0].audit_rate", "a fraction such as 0.05"),
    (("classes", 0, "match"), {}, "classes[0].match", "would match every request"),
    (("classes", 0, "match", "labels", "app"), [], "classes[0].match.labels.app", "no value"),
    (("classes", 0, "match", "metadata"), {"a": []}, "classes[0].match.metadata.a", "no value"),
    (("classes", 0, "match", "metadata"), {"A": ["b"]}, "classes[0].match.metadata.A", "of a-z"),
    (("classes", 0, "match", "priority"), {}, "classes[0].match.priority", "neither min nor max"),
    (
        ("classes", 0, "match", "input_tokens"),
        {"min": 3, "max": 2},
        "classes[0].match.input_tokens",
        "nothing is from 3 to 2",
    ),
    (KEYWORDS, {}, "classes[0].match.keywords", "give any_of, all_of or none_of"),
    (KEYWORDS, {"any_of": ["a", " "]}, "classes[0].match.keywords.any_of[1]", "is blank"),
    (KEYWORDS, {"all_of": [65 * "é"]}, "classes[0].match.keywords.all_of[0]", "128 bytes"),
    (KEYWORDS, {"none_of": [""]}, "classes[0].match.keywords.none_of[0]", "is blank"),
    (("domains",), [{"name": "other"}], "domains[0].name", "the domain of what no rule matches"),
    (("domains",), [{"name": "law", "match": {}}], "domains[0].match", "match every request"),
    (("budgets", 0, "kind"), "hard", "budgets[0].kind", "hard budgets are not built yet: use soft"),
    (
        ("budgets", 0, "scope", "traffic_class"),
        "strickt",
        "budgets[0].scope.traffic_class",
        "did you mean 'strict'?",
    ),
    (("size_buckets_tokens",), [10, 10], "size_buckets_tokens[1]", "10 must be above the 10"),
    (("health", "ejection_s"), 301, "health.ejection_s", "at most ejection_s_max, which is 300"),
    (("listeners", "data"), "7080", "listeners.data", "must be host:port or unix:/PATH"),
    (("listeners", "data"), "a:65536", "listeners.data", "must be 0 to 65535"),
    (("listeners", "prometheus"), "unix:/a", "listeners.prometheus", "must be host:port, not"),
    (("listeners", "prometheus"), "127.0.0.1:7080", "listeners", "is given twice"),
    (("listeners", "admin"), "127.0.0.1:7081", "listeners.admin_token_file", "is missing"),
    (("listeners", "data"), "0.0.0.0:7080", "listeners.data", "give callers.anonymous: false"),
    (("listeners", "data"), "model.example:0", "listeners.data", "nothing says who may ask"),
    (
        ("callers", "tenants_by_certificate"),
        {"a.example": "team-a"},
        "callers.tenants_by_certificate",
        "give listeners.tls.client_ca_file",
    ),
    (("state_dir",), "var/lib", "state_dir", "must be an absolute path"),
    (("state_dir",), "/" + 87 * "a", "state_dir", "must be at most 87 bytes long, not 88"),
]


@pytest.mark.parametrize(("at", "value", "path", "words"), MISTAKES)
def test_a_mistake_is_named_with_its_path_and_what_would_be_right(
    at: Path, value: object, path: str, words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(plain((at, value)))
    found = [problem for problem in caught.value.diagnostics if problem.path == path]
    assert [words in problem.message for problem in found] == [True]


ACCEPTED: list[tuple[Path, object]] = [
    (("models", 2), MODEL),
    (("models", 0, "enabled"), False),
    (("models", 0, "endpoints"), ["[::1]:8001", "unix:/run/a.sock", "model_a.example-b.com:1"]),
    (("classes", 0, "floor"), 0.95),
    (("classes", 2), {"name": "by-name-only"}),
    (("listeners", "data"), "127.8.0.1:0"),
    (("listeners", "data"), "[::1]:0"),
    (("listeners", "data"), "localhost:0"),
    (("listeners",), {"data": "127.0.0.1:0", "prometheus": "127.0.0.1:0"}),
    (("listeners", "admin"), "unix:/run/turnout/admin.sock"),
    (("listeners",), {"admin": "127.0.0.1:7081", "admin_token_file": "/etc/token"}),
    (("state_dir",), "~/turnout"),
    (("state_dir",), "/" + 86 * "a"),
    (("size_buckets_tokens",), []),
    (("domains",), [{"name": "by-name-only"}]),
    (KEYWORDS, {"any_of": [64 * "é"]}),
]


@pytest.mark.parametrize(("at", "value"), ACCEPTED)
def test_what_makes_sense_is_accepted(at: Path, value: object) -> None:
    parse(plain((at, value)))


@pytest.mark.parametrize(("count", "expected"), [(KEYWORDS_MAX, 0), (KEYWORDS_MAX + 1, 1)])
def test_all_rules_together_have_a_bounded_number_of_keywords(count: int, expected: int) -> None:
    words = [f"word{i}" for i in range(count)]
    domain = {"name": "law", "match": {"keywords": {"all_of": words[5:]}}}
    document = plain((KEYWORDS, {"any_of": words[:5]}), (("domains",), [domain]))
    found = _paths(document)
    assert found == expected * ["domains[0].match.keywords"]


@pytest.mark.parametrize(
    ("section", "most"),
    [("models", 1_000), ("classes", 1_000), ("budgets", 1_000), ("domains", 64)],
)
def test_a_section_has_a_bounded_number_of_entries(section: str, most: int) -> None:
    entries: dict[str, dict[str, object]] = {
        "models": MODEL,
        "classes": {"floor": 0.1},
        "budgets": {"amount_usd": 1, "period": "day"},
        "domains": {},
    }
    before = list(plain().get(section, []))
    added = [{**entries[section], "name": f"n{i}"} for i in range(most - len(before))]
    if section == "budgets":
        added = [{**entry, "scope": {"tenant": f"t{i}"}} for i, entry in enumerate(added)]
    assert _paths(plain(((section,), before + added))) == []
    assert _paths(plain(((section,), [*before, *added, {**added[0], "name": "last"}]))) == [section]


def test_one_request_draws_on_a_bounded_number_of_budgets() -> None:
    def budgets(of_all: int, of_one_tenant: int) -> list[dict[str, object]]:
        scopes: list[dict[str, str]] = [{}] * of_all + [{"tenant": "acme"}] * of_one_tenant
        return [
            {"name": f"b{i}", "amount_usd": 1, "period": "day", "scope": scope}
            for i, scope in enumerate([*scopes, {"tenant": "initech"}])
        ]

    assert _paths(plain((("budgets",), budgets(10, 6)))) == []
    assert set(_paths(plain((("budgets",), budgets(10, 7))))) == {"budgets"}


def test_what_was_not_understood_is_not_said_to_be_missing() -> None:
    document = plain(
        (("classes", 1, "name"), "Rest"),
        (("models", 1, "prior_accuracy"), "high"),
        (("budgets", 0, "scope", "traffic_class"), "Rest"),
    )
    assert _paths(document) == ["models[1].prior_accuracy", "classes[1].name"]


def test_one_mistake_hides_no_other() -> None:
    document = plain(
        (("models", 0, "prize"), 1),
        (("models", 0, "price"), {}),
        (("models", 1, "protocol"), "http"),
        (("models", 2), {**MODEL, "endpoints": ["nowhere"]}),
        (("listeners", "data"), 7080),
        (("budgets", 0, "kind"), "hard"),
    )
    assert _paths(document) == [
        "listeners.data",
        "models[0].prize",
        "models[1].protocol",
        "models[0].price",
        "models[2].endpoints[0]",
        "budgets[0].kind",
    ]


@given(config=configs())
@settings(max_examples=50)
def test_what_was_accepted_has_no_problems(config: Config) -> None:
    assert list(findings(config)) == []


def _paths(document: object) -> list[str]:
    try:
        parse(document)
    except ConfigError as error:
        return [problem.path for problem in error.diagnostics]
    return []


def test_tls_needs_a_listener_on_tcp() -> None:
    tls = {"cert_file": "/etc/cert.pem", "key_file": "/etc/key.pem"}
    on_unix = plain((("listeners",), {"data": "unix:/run/turnout/data.sock", "tls": tls}))
    with pytest.raises(ConfigError, match="has nothing to encrypt"):
        parse(on_unix)
    on_unix["listeners"] |= {"admin": "127.0.0.1:7081", "admin_token_file": "/etc/token"}
    parse(on_unix)


TLS = {"cert_file": "/c", "key_file": "/k", "client_ca_file": "/a"}


@pytest.mark.parametrize(
    "changes",
    [
        {"callers": {"anonymous": True}},
        {"callers": {"anonymous": False}},
        {"listeners": {"data": "0.0.0.0:7080", "tls": TLS}},
    ],
)
def test_a_listener_beyond_this_machine_is_accepted_where_the_file_says_who_may_ask(
    changes: dict[str, object],
) -> None:
    parse(plain((("listeners", "data"), "0.0.0.0:7080"), *(((k,), v) for k, v in changes.items())))


def test_a_certificate_is_bound_to_a_tenant_that_has_a_name() -> None:
    listeners = {"data": "127.0.0.1:0", "tls": TLS}
    bound = {"tenants_by_certificate": {"a.example": ""}}
    document = plain((("listeners",), listeners), (("callers",), bound))
    assert _paths(document) == ["callers.tenants_by_certificate['a.example']"]
