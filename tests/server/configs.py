"""Configurations to test with: one that says little, and any that hypothesis likes."""

import copy
from typing import Any

from hypothesis import strategies as st

from server.config.parse import parse
from server.config.schema import Config

PLAIN: dict[str, Any] = {
    "models": [
        {
            "name": "small",
            "protocol": "oip",
            "endpoints": ["127.0.0.1:8001"],
            "price": {"request_usd": 0.001},
            "prior_accuracy": 0.8,
        },
        {
            "name": "large",
            "protocol": "oip",
            "endpoints": ["127.0.0.1:8002", "127.0.0.1:8003"],
            "price": {"request_usd": 0.01},
            "prior_accuracy": 0.95,
        },
    ],
    "classes": [
        {"name": "strict", "floor": 0.9, "match": {"labels": {"app": ["strict"]}}},
        {"name": "rest", "default": True},
    ],
    "budgets": [{"name": "all", "amount_usd": 10, "period": "day"}],
}


def plain(*changes: tuple[tuple[str | int, ...], object]) -> dict[str, Any]:
    """PLAIN with values put at some paths; an index one beyond the last appends."""
    document = copy.deepcopy(PLAIN)
    for path, value in changes:
        *parents, key = path
        node: Any = document
        for part in parents:
            node = node[part] if isinstance(part, int) else node.setdefault(part, {})
        if isinstance(node, list) and key == len(node):
            node.append(value)
        else:
            node[key] = value
    return document


names = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,9}", fullmatch=True).filter(
    lambda name: name not in ("auto", "other")
)
texts = st.text(st.characters(codec="utf-8"), max_size=10)
fractions = st.floats(0, 1)
usd = st.floats(0, 1e9)
endpoints = st.builds("10.0.0.{}:{}".format, st.integers(0, 255), st.integers(1, 65535)) | st.just(
    "unix:/run/model.sock"
)
urls = st.builds(
    "{}://host-{}:{}{}".format,
    st.sampled_from(["http", "https"]),
    st.integers(0, 255),
    st.integers(1, 65535),
    st.sampled_from(["/", "/v1", "/openai/v1/"]),
)
value_lists = st.lists(texts, min_size=1, max_size=3)
ranges = st.tuples(st.integers(0, 9), st.integers(9, 2**31 - 1)).flatmap(
    lambda ends: st.sampled_from(
        [{"min": ends[0]}, {"max": ends[1]}, {"min": ends[0], "max": ends[1]}]
    )
)


def some_of(*values: str) -> st.SearchStrategy[list[str]]:
    """Fresh lists: a test may put something else in."""
    return st.lists(st.sampled_from(values), min_size=1, max_size=2)


words = st.lists(texts.filter(str.strip), min_size=1, max_size=3)
# Absent has to be what is in no word that has to be there.
absent = words.map(lambda listed: [f"{word} \u2020" for word in listed])
keywords = st.fixed_dictionaries({"any_of": words}, optional={"all_of": words, "none_of": absent})
blocks = st.fixed_dictionaries(
    {"tenant": value_lists},
    optional={
        "labels": st.dictionaries(texts, value_lists, max_size=2),
        "metadata": st.dictionaries(names, value_lists, max_size=2),
        "user": value_lists,
        "response_format": value_lists,
        "priority": ranges,
        "input_tokens": ranges,
        "keywords": keywords,
        "tools": st.booleans(),
        "messages": ranges,
        "tensors": st.fixed_dictionaries(
            {"names": value_lists}, optional={"datatypes": value_lists, "elements": ranges}
        ),
        "structures": some_of("json", "code", "question"),
        "code_languages": some_of("python", "sql"),
        "languages": some_of("en", "de"),
        "scripts": some_of("latin").map(lambda scripts: [*scripts, "greek"]),
    },
)
matches = blocks | st.lists(blocks, min_size=1, max_size=2)
tiers = st.fixed_dictionaries(
    {"above_input_tokens": st.integers(1, 10**6)}, optional={"output_usd_per_mtok": usd}
).map(lambda tier: [tier])


def _unique(addresses: st.SearchStrategy[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(addresses, min_size=1, max_size=3, unique_by=lambda one: one.rstrip("/"))


reached = st.fixed_dictionaries({"protocol": st.just("oip"), "endpoints": _unique(endpoints)}) | (
    st.fixed_dictionaries(
        {"protocol": st.just("openai"), "endpoints": _unique(urls)},
        optional={
            "serves": st.sampled_from(["chat", "embeddings"]),
            "api_key_env": st.just("A_KEY"),
            "headers": st.builds(lambda: [{"name": "x-team", "value": "blue"}]),
        },
    )
)
facts = st.fixed_dictionaries(
    {
        "price": st.fixed_dictionaries(
            {"request_usd": st.floats(1e-9, 1e9)},
            optional={
                "input_usd_per_mtok": usd,
                "cached_input_usd_per_mtok": usd,
                "cache_write_usd_per_mtok": usd,
                "output_usd_per_mtok": usd,
                "reasoning_usd_per_mtok": usd,
                "busy_second_usd": usd,
                "list_price": st.just("openai/gpt-4o"),
                "tiers": tiers,
            },
        ),
        "prior_accuracy": st.floats(0.5, 1),
    },
    optional={
        "version": texts,
        "upstream_name": texts,
        "capacity": st.fixed_dictionaries(
            {}, optional={"requests_per_s": st.floats(1e-3, 1e6), "concurrent": st.just(7)}
        ),
        "capabilities": st.lists(texts, max_size=3),
    },
)
models = st.builds(lambda how, what: {**how, **what}, reached, facts)
classes = st.fixed_dictionaries(
    {"floor": st.floats(0, 0.5), "grades": st.just("caller"), "audit_rate": st.floats(0.01, 1)},
    optional={
        "match": matches,
        "slo": st.fixed_dictionaries(
            {"ms": st.floats(1, 1e6), "fraction": st.floats(0.01, 0.99)},
            optional={"metric": st.just("total")},
        ),
        "priority": st.integers(-(2**31), 2**31 - 1),
        "if_short": st.sampled_from(["degrade", "refuse"]),
        "deadline_s": st.floats(0.1, 1000),
    },
)
budgets = st.fixed_dictionaries(
    {
        "amount_usd": st.floats(0.01, 1e9),
        "period": st.sampled_from(["hour", "day", "week", "month"]),
    },
    optional={"scope": st.fixed_dictionaries({}, optional={"tenant": texts})},
)


def _named(entries: st.SearchStrategy[dict[str, Any]], least: int) -> st.SearchStrategy[Any]:
    return st.dictionaries(names, entries, min_size=least, max_size=3).map(
        lambda by_name: [{"name": name, **entry} for name, entry in by_name.items()]
    )


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """What a file without a mistake says."""
    document: dict[str, Any] = {
        "models": draw(_named(models, 1)),
        "classes": draw(_named(classes, 1)),
        "budgets": draw(_named(budgets, 0)),
        "domains": draw(_named(st.fixed_dictionaries({}, optional={"match": matches}), 0)),
        "size_buckets_tokens": sorted(draw(st.sets(st.integers(1, 10**9), max_size=8))),
        "window_s": draw(st.floats(0.1, 3600)),
    }
    default = draw(st.sampled_from(document["classes"]))
    default["default"] = True
    for budget in document["budgets"]:
        if draw(st.booleans()):
            budget["scope"] = {"traffic_class": default["name"]}
    return document


def configs() -> st.SearchStrategy[Config]:
    """Any without a mistake."""
    return documents().map(parse)
