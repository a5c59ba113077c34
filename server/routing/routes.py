"""What one configuration compiles to: all that a worker routes by, but for the plan."""

from typing import NamedTuple

from server.config.schema import Config
from server.routing.catalog import Catalog, compile_catalog
from server.routing.learned_classifier.classifier import LearnedClassifier
from server.routing.reading.classifier import Classifier


class Routes(NamedTuple):
    """Replaced whole when the configuration changes."""

    config: Config
    catalog: Catalog
    classifier: Classifier


def compile_routes(config: Config, learned: LearnedClassifier | None = None) -> Routes:
    """Takes a second for the largest configuration there may be, and touches nothing in force."""
    catalog = compile_catalog(config)
    return Routes(config, catalog, Classifier(config, catalog, learned))
