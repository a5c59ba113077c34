from pathlib import Path

import pytest

from server.config.classes import ClassifierConfig, DomainConfig
from server.config.match import MatchConfig
from server.config.schema import DOMAINS_MAX, Config
from server.named_files.classifier import classifier_findings, fitting, read_classifier
from server.routing.learned_classifier.file_format import FILE_BYTES_MAX, ClassifierInvalid, dump
from tests.server.control.told import service
from tests.server.routing.learned_classifier.made import contents


def config_with(file: Path, domains: int = 0) -> Config:
    return service(
        classifier=ClassifierConfig(file=str(file)),
        domains=tuple(DomainConfig(name=f"d{i}") for i in range(domains)),
    )


def test_a_classifier_that_fits_is_no_problem(tmp_path: Path) -> None:
    file = tmp_path / "classifier.bin"
    file.write_bytes(dump(contents()))
    assert list(classifier_findings(config_with(file, DOMAINS_MAX - 2))) == []


def test_without_a_classifier_there_is_nothing_to_check() -> None:
    assert list(classifier_findings(service())) == []


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    problems = list(classifier_findings(config_with(tmp_path / "nowhere")))
    assert problems == [
        (("classifier", "file"), "the file cannot be read: No such file or directory")
    ]


def test_what_is_no_classifier_is_named(tmp_path: Path) -> None:
    file = tmp_path / "classifier.bin"
    file.write_bytes(b"hello")
    [(path, message)] = classifier_findings(config_with(file))
    assert path == ("classifier", "file")
    assert "turnout train" in message


def test_its_domains_make_no_more_cells_than_others(tmp_path: Path) -> None:
    file = tmp_path / "classifier.bin"
    file.write_bytes(dump(contents()))
    [(_, message)] = classifier_findings(config_with(file, DOMAINS_MAX - 1))
    assert f"are {DOMAINS_MAX + 1}: at most {DOMAINS_MAX}" in message


def test_no_more_is_read_than_a_classifier_may_have(tmp_path: Path) -> None:
    file = tmp_path / "classifier.bin"
    with file.open("wb") as made:
        made.truncate(FILE_BYTES_MAX * 5)
    assert len(read_classifier(str(file))) == FILE_BYTES_MAX + 1


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ClassifierInvalid, match="Is a directory"):
        read_classifier(str(tmp_path))


@pytest.mark.parametrize(
    ("path", "says"), [("~nobody-has-this-name/c", "home directory"), ("c\0", "null byte")]
)
def test_a_path_that_leads_nowhere_is_told(path: str, says: str) -> None:
    with pytest.raises(ClassifierInvalid, match=f"the file cannot be read: .*{says}"):
        read_classifier(path)


def test_one_that_does_not_know_what_a_rule_names_does_not_fit() -> None:
    chat = {"name": "chat", "match": MatchConfig(domains=("law",)), "default": True}
    config = service(classes=(chat,))
    assert fitting(config, dump(contents())).header.domains == ("law", "math")
    with pytest.raises(ClassifierInvalid, match=r"classes.0.match.domains.0: no domain is named"):
        fitting(config, dump(contents(domains=("art", "math"))))
