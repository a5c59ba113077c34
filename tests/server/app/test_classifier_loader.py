from pathlib import Path

import pytest

from server.app.classifier_loader import ClassifierLoader
from server.config.classes import ClassifierConfig
from server.config.schema import Config
from server.routing.learned_classifier.file_format import dump
from tests.server.control.told import service
from tests.server.routing.learned_classifier.made import contents

LAW = dump(contents(words={"court": (3, -3)}))
ART = dump(contents(domains=("art", "law"), words={"court": (3, -3)}))


def naming(file: Path | None) -> Config:
    return service(classifier=None if file is None else ClassifierConfig(file=str(file)))


def put(file: Path, data: bytes) -> None:
    file.write_bytes(data)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    put(tmp_path / "classifier.bin", LAW)
    return tmp_path / "classifier.bin"


async def test_the_classifier_that_is_named_is_read(file: Path) -> None:
    model = await ClassifierLoader().load(naming(file))
    assert model is not None
    assert model.classify("court").domain == "law"


async def test_one_that_is_as_before_is_not_made_again(file: Path) -> None:
    loader = ClassifierLoader()
    assert await loader.load(naming(file)) is await loader.load(naming(file))


async def test_another_name_is_read(file: Path, tmp_path: Path) -> None:
    loader = ClassifierLoader()
    await loader.load(naming(file))
    put(tmp_path / "art.bin", ART)
    model = await loader.load(naming(tmp_path / "art.bin"))
    assert model is not None
    assert model.classify("court").domain == "art"


async def test_what_was_written_over_it_is_not_read(file: Path) -> None:
    loader = ClassifierLoader()
    before = await loader.load(naming(file))
    put(file, ART)
    assert await loader.load(naming(file)) is before is not None


async def test_a_bad_file_leaves_the_one_before(file: Path, tmp_path: Path) -> None:
    loader = ClassifierLoader()
    before = await loader.load(naming(file))
    put(tmp_path / "bad.bin", LAW[:-1])
    assert await loader.load(naming(tmp_path / "bad.bin")) is before is not None


async def test_one_that_does_not_know_what_a_rule_names_leaves_the_one_before(
    file: Path, tmp_path: Path
) -> None:
    loader = ClassifierLoader()
    before = await loader.load(naming(file))
    put(tmp_path / "art.bin", ART)
    rule = {"name": "chat", "match": {"domains": ("math",)}, "default": True}
    named = ClassifierConfig(file=str(tmp_path / "art.bin"))
    config = service(classifier=named, classes=(rule,))
    assert await loader.load(config) is before is not None


async def test_a_bad_file_at_first_is_no_classifier(file: Path) -> None:
    put(file, b"")
    assert await ClassifierLoader().load(naming(file)) is None


async def test_without_a_name_there_is_none_any_more(file: Path) -> None:
    loader = ClassifierLoader()
    await loader.load(naming(file))
    assert await loader.load(naming(None)) is None
