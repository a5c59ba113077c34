"""The learned classifier on recorded requests: what it gets right, and what it costs.

`python -m benchmarks.learned --data DIR`, DIR being the recorded data. It learns from the train
part of clinc150 and is judged by its test part; on mmlu_pro each question is judged by a
classifier that did not see its text. The cost is CPU time for each request against scikit-learn's
pipeline of TF-IDF over words and pairs and a linear machine, learned from the same texts, in turns.
"""

import itertools
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from benchmarks.harness import Claim, Row, compare
from server.routing.learned_classifier.classifier import LearnedClassifier
from server.training.examples import Columns, Example, read_domains, read_examples
from server.training.report import Report
from server.training.train import judge, train

CLAIM = Claim("learned", "LearnedClassifier.classify", "TF-IDF and LinearSVC", ratio_max=1 / 20)
_REFUSED = 0.05
_SEED = 0


def clinc150(folder: Path) -> tuple[Report, Row]:
    """On its own split: short requests, 150 intents of 10 domains, and some out of scope."""
    domain_of = read_domains(folder / "domains.csv")
    learned, judged = (
        read_examples(folder / f"{part}.csv.gz", Columns(), domain_of) for part in ("train", "test")
    )
    trained = train(learned, seed=_SEED, refused=_REFUSED)
    model = LearnedClassifier(trained.contents)
    row = cost(model, learned, judged, rounds=12, calls=500)
    return judge(trained.contents, judged), row


def mmlu_pro(folder: Path) -> Report:
    """Exam questions of 13 subjects, and others; by five folds of equal texts."""
    return train(
        read_examples(folder / "queries.csv.gz", Columns()), seed=_SEED, refused=_REFUSED
    ).report


def cost(
    model: LearnedClassifier,
    learned: Sequence[Example],
    judged: Sequence[Example],
    *,
    rounds: int,
    calls: int,
) -> Row:
    """CPU time of one request after the other."""
    pipeline = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LinearSVC())
    pipeline.fit([one.text for one in learned], [one.intent or one.domain for one in learned])
    texts = [one.text for one in judged]
    return compare(
        CLAIM,
        _each(model.classify, texts),
        _each(lambda text: pipeline.predict([text]), texts),
        rounds=rounds,
        calls=calls,
        clock=time.process_time,
    )


def _each(classify: Callable[[str], object], texts: Sequence[str]) -> Callable[[], object]:
    """Another text with every call."""
    following = itertools.cycle(texts)
    return lambda: classify(next(following))


def main(
    data: Annotated[Path, typer.Option(metavar="DIR", help="Recorded data: intents, outcomes.")],
) -> None:
    """What the learned classifier gets right, and what it costs."""
    print("clinc150 ...", file=sys.stderr)
    report, row = clinc150(data / "intents/clinc150")
    at = next(one for one in report.curve if (one.inside_refused or 0) >= _REFUSED - 1e-3)
    right = f"intents {report.intent_accuracy:.2%}, domains {report.domain_accuracy:.2%}"
    print(f"clinc150, test: {right}")
    print(f"  refused: {at.inside_refused:.1%} of text inside, {at.outside_refused:.1%} outside")
    print(
        f"  {row.subject_us:.1f} us a request, {row.floor} {row.floor_us:.0f} us: "
        f"{row.ratio:.4f} x [{row.ratio_low:.4f} to {row.ratio_high:.4f}], "
        f"at most {CLAIM.ratio_max} x: {row.verdict}"
    )
    print("mmlu_pro ...", file=sys.stderr)
    report = mmlu_pro(data / "outcomes/mmlu_pro")
    print(f"mmlu_pro, folds: {report.stored.right:.2%} of subjects, other among them")


if __name__ == "__main__":
    typer.run(main)
