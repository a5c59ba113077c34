"""What has to hold between the keys of a configuration, beyond the type and range of each."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from itertools import pairwise

from server.config import rules
from server.config.access import access_findings
from server.config.aims import money_findings
from server.config.callers import is_local, shows_certificates
from server.config.diagnostics import Findings, Path, did_you_mean
from server.config.endpoints import address_fault
from server.config.price_findings import price_findings
from server.config.schema import Config
from server.config.section import OTHER
from server.config.state_dir import folder_fault

# Budgets that one request draws on: a decision id names them all, and has to stay short.
DRAWN_ON_MAX = 16


def findings(config: Config, broken: Collection[str] = ()) -> Findings:
    """Everything that contradicts itself.

    Checks that compare entries with each other are left out where they read a section that is
    broken: what was not understood would look as if it were missing.
    """
    for check, reads in _CHECKS.items():
        if not reads.intersection(broken):
            yield from check(config)


def _names(config: Config) -> Findings:
    sections = {
        "models": [model.name for model in config.models],
        "classes": [traffic_class.name for traffic_class in config.classes],
        "budgets": [budget.name for budget in config.budgets],
        "domains": [domain.name for domain in config.domains],
    }
    for section, names in sections.items():
        seen: set[str] = set()
        for i, name in enumerate(names):
            if name in seen:
                yield (section, i, "name"), f"{name!r} is taken: names are unique"
            seen.add(name)


def _models(config: Config) -> Findings:
    for i, model in enumerate(config.models):
        yield from access_findings(("models", i), model)
        yield from price_findings(("models", i, "price"), model)


def _enabled(config: Config) -> Findings:
    if not config.models:
        yield ("models",), "is empty: give at least one model"
    elif not any(model.enabled for model in config.models):
        yield ("models",), "every model is drained: leave at least one enabled"


def _classes(config: Config) -> Findings:
    for i, traffic_class in enumerate(config.classes):
        at: Path = ("classes", i)
        if traffic_class.name == "auto":
            yield (*at, "name"), "'auto' is what callers say for 'let the rules decide'"
        audited = traffic_class.audit_rate > 0
        if audited and traffic_class.grades == "none":
            yield (*at, "audit_rate"), "asks for grades that never come: set grades: caller, or 0"
        floor = traffic_class.floor or traffic_class.domain_floor
        if floor and traffic_class.grades == "caller" and not audited:
            yield (
                (*at, "audit_rate"),
                "is 0, but the floor rests on audited grades: give a fraction such as 0.05, "
                "or set grades: none and the floor is assumed",
            )


def _domains(config: Config) -> Findings:
    for i, domain in enumerate(config.domains):
        if domain.name == OTHER:
            yield ("domains", i, "name"), f"{OTHER!r} is the domain of what no rule matches"


def _default(config: Config) -> Findings:
    defaults = [i for i, entry in enumerate(config.classes) if entry.default]
    if not defaults:
        yield ("classes",), "none has default: true: say which takes requests that no rule matches"
    for i in defaults[1:]:
        first = config.classes[defaults[0]].name
        yield ("classes", i, "default"), f"the default is {first!r} already: there can be one"


def _floors(config: Config) -> Findings:
    enabled = [model for model in config.models if model.enabled]
    best = max(enabled, key=lambda model: model.prior_accuracy, default=None)
    for i, traffic_class in enumerate(config.classes):
        # Who tries models and grades them finds out whether one is better than it is believed.
        learns = traffic_class.explore and traffic_class.audit_rate > 0
        if best is None or learns:
            continue
        for key in ("floor", "domain_floor"):
            floor = getattr(traffic_class, key) or 0.0
            if floor > best.prior_accuracy:
                yield (
                    ("classes", i, key),
                    f"{floor:g} cannot be reached: the most accurate enabled model is {best.name} "
                    f"with a prior_accuracy of {best.prior_accuracy:g}",
                )


def _budgets(config: Config) -> Findings:
    for i, budget in enumerate(config.budgets):
        if budget.kind == "hard":
            yield ("budgets", i, "kind"), "hard budgets are not built yet: use soft"


def _scopes(config: Config) -> Findings:
    names = {traffic_class.name for traffic_class in config.classes}
    for i, budget in enumerate(config.budgets):
        name = budget.scope.traffic_class
        if name is not None and name not in names:
            message = f"no class is named {name[:80]!r}: {did_you_mean(name, names)}"
            yield ("budgets", i, "scope", "traffic_class"), message


def _drawn_on(config: Config) -> Findings:
    """A decision id names its budgets, and what a request costs is booked on each."""
    drawn = Counter((b.scope.traffic_class, b.scope.tenant) for b in config.budgets)
    tenants = {tenant for _, tenant in drawn} - {None}
    for traffic_class in config.classes:
        name = traffic_class.name
        of_all = drawn[None, None] + drawn[name, None]
        of_tenant = max((drawn[None, t] + drawn[name, t] for t in tenants), default=0)
        if of_all + of_tenant > DRAWN_ON_MAX:
            yield (
                ("budgets",),
                f"a request of class {name} would draw on {of_all + of_tenant} of them: "
                f"scope them so that at most {DRAWN_ON_MAX} apply",
            )


def _sizes(config: Config) -> Findings:
    sizes = config.size_buckets_tokens
    for i, (low, high) in enumerate(pairwise(sizes)):
        if high <= low:
            yield ("size_buckets_tokens", i + 1), f"{high} must be above the {low} before it"


def _health(config: Config) -> Findings:
    health = config.health
    if health.ejection_s > health.ejection_s_max:
        message = f"must be at most ejection_s_max, which is {health.ejection_s_max:g}"
        yield ("health", "ejection_s"), message


def _listeners(config: Config) -> Findings:
    listeners = config.listeners
    addresses = {"data": listeners.data, "openai": listeners.openai, "admin": listeners.admin}
    addresses["prometheus"] = listeners.prometheus
    given = {key: address for key, address in addresses.items() if address is not None}
    for key, address in given.items():
        fault = address_fault(address, port_min=0, unix=key != "prometheus")
        if fault is not None:
            yield ("listeners", key), fault
    for address, times in Counter(given.values()).items():
        if times > 1 and not address.endswith(":0"):
            yield ("listeners",), f"{address!r} is given twice: each listener needs its own"
    tcp = listeners.admin is not None and not listeners.admin.startswith("unix:")
    if tcp and not listeners.admin_token_file:
        message = "is missing: an admin listener on TCP needs a file that holds its token"
        yield ("listeners", "admin_token_file"), message
    asked = (listeners.data, listeners.openai or "unix:")
    if listeners.tls is not None and not tcp and all(a.startswith("unix:") for a in asked):
        message = "has nothing to encrypt: every listener is a Unix socket; leave it out"
        yield ("listeners", "tls"), message


def _callers(config: Config) -> Findings:
    callers, listeners = config.callers, config.listeners
    asks_certificates = shows_certificates(listeners)
    if callers.anonymous is None:
        if not asks_certificates:
            yield from _open("data", listeners.data)
        yield from _open("openai", listeners.openai or "unix:")
    at: Path = ("callers", "tenants_by_certificate")
    if callers.tenants_by_certificate and not asks_certificates:
        yield at, "nobody is asked for a certificate: give listeners.tls.client_ca_file"
    for name, tenant in callers.tenants_by_certificate.items():
        if not tenant:
            yield (*at, name), "names no tenant: say whose the certificate is"


def _open(key: str, address: str) -> Findings:
    if not is_local(address) and address_fault(address, port_min=0) is None:
        yield (
            ("listeners", key),
            "is beyond this machine, and nothing says who may ask: give callers.anonymous: false, "
            "and who has a key may ('turnout keys create'), or true, and whoever reaches it may",
        )


def _state_dir(config: Config) -> Findings:
    folder = config.state_dir
    # What ~ stands for is not known here; it is looked at when the folder is used.
    fault = None if folder is None or folder.startswith("~/") else folder_fault(folder)
    if fault is not None:
        yield ("state_dir",), fault


# Each with the sections that have to be whole for it to mean anything.
_CHECKS: Mapping[Callable[[Config], Findings], frozenset[str]] = {
    _names: frozenset(),
    _models: frozenset(),
    _classes: frozenset(),
    _domains: frozenset(),
    rules.of_classes: frozenset(),
    rules.of_domains: frozenset(),
    _budgets: frozenset(),
    _state_dir: frozenset(),
    _enabled: frozenset({"models"}),
    _default: frozenset({"classes"}),
    _scopes: frozenset({"classes"}),
    _drawn_on: frozenset({"classes", "budgets"}),
    _floors: frozenset({"models"}),
    money_findings: frozenset({"budgets"}),
    rules.of_names: frozenset({"domains", "classifier"}),
    rules.keyword_count: frozenset({"classes", "domains"}),
    _sizes: frozenset({"size_buckets_tokens"}),
    _health: frozenset({"health"}),
    _listeners: frozenset({"listeners"}),
    _callers: frozenset({"listeners", "callers"}),
}
