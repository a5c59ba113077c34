"""What is kept from run to run is small."""

from pathlib import Path

from benchmarks.fuzz import corpus
from benchmarks.fuzz.catalogue import TARGETS


def test_a_corpus_has_so_many_inputs(tmp_path: Path) -> None:
    inputs = [bytes([i]) for i in range(200)]
    corpus.keep("a target", inputs, tmp_path)
    assert set(corpus.read("a target", tmp_path)) == set(inputs[: corpus.FILES_MAX])


def test_a_corpus_has_so_many_bytes(tmp_path: Path) -> None:
    inputs = [bytes(corpus.BYTES_MAX - 10), b"eleven more", b"ten more.."]
    corpus.keep("a target", inputs, tmp_path)
    assert set(corpus.read("a target", tmp_path)) == {inputs[0], inputs[2]}


def test_what_was_kept_before_makes_room(tmp_path: Path) -> None:
    corpus.keep("a target", [b"old"], tmp_path)
    corpus.keep("a target", [b"new", b"new"], tmp_path)
    assert corpus.read("a target", tmp_path) == [b"new"]


def test_a_target_without_a_corpus_has_no_inputs(tmp_path: Path) -> None:
    assert corpus.read("a target", tmp_path) == []


def test_an_end_is_known_by_its_codes() -> None:
    assert corpus.kind_of_end("INVALID_ARGUMENT there is no class") == "INVALID_ARGUMENT"
    assert corpus.kind_of_end("OK; reset 1; goaway 11 too many pings") == "OK; reset 1; goaway 11"
    assert corpus.kind_of_end("refused: must be a number") == "refused"


def test_the_corpora_of_this_repository_are_of_targets_and_within_their_bounds() -> None:
    folders = [place for place in corpus.FOLDER.iterdir() if place.is_dir()]
    assert {place.name for place in folders} == {name.replace(" ", "-") for name in TARGETS}
    assert len(TARGETS) * corpus.BYTES_MAX <= 2 * 2**20
    for place in folders:
        files = list(place.iterdir())
        assert len(files) <= corpus.FILES_MAX
        assert sum(file.stat().st_size for file in files) <= corpus.BYTES_MAX
        assert all(file.name == corpus.file_name(file.read_bytes()) for file in files)
