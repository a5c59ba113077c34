"""The checks of pages find what is wrong: each page here is a right one with one thing changed."""

from pathlib import Path

import pytest

from tests.pages.checks import problems
from tests.pages.inline import span_problems
from tests.pages.reading import ROOT, Block, Span, blocks

CONFIGURATION = """\
models:
  - name: small
    protocol: oip
    endpoints: [10.0.0.11:8001]
    price: {request_usd: 0.002}
    prior_accuracy: 0.82
classes:
  - {name: rest, default: true}
"""
PART = "budgets:\n  - {name: month, amount_usd: 5000, period: month}\n"
SESSION = "$ turnout plan --json \\\n    --watch\nwhatever it says --bogus\n"


def found(language: str, text: str, folder: Path, *marks: str) -> list[str]:
    return problems(Block("page.md", 7, language, marks, text), folder)


@pytest.mark.parametrize(
    ("fence", "text"),
    [
        ("yaml", CONFIGURATION),
        ("yaml part", PART),
        ("yaml part", "classes:\n  - {name: vip, match: {tenant: [acme]}}\n"),
        ("yaml of prometheus", "scrape_configs: [{job_name: turnout}]\n"),
        ("python", "from tritonclient.grpc import anything\nfrom turnout import Client\n"),
        ("python runs", "print(1)\n"),
        ("sh", "make serve  # in another terminal\nXDG_STATE_HOME=/x turnout plan 2>/dev/null\n"),
        ("sh", "python -m benchmarks results rows.json\n"),
        ("sh", "turnout schema > turnout.schema.json && turnout check deploy/example.yaml\n"),
        ("sh", "cat > f.yaml <<'END'\nturnout is 'here\nEND\nturnout check f.yaml\n"),
        ("console", SESSION),
        ("json", '{"ok": true}\n'),
        ("jsonl", '{"ok": true}\n{"ok": false}\n'),
        ("toml", "[turnout]\n"),
        ("proto", "service RoutingService {\n}\nmessage RouteRequest {\n}\n"),
        ("text", "turnout.v1.RoutingService/Route, turnout.v1.RouteRequest\n"),
        ("", "whatever\n"),
    ],
)
def test_what_is_right_has_no_problem(fence: str, text: str, tmp_path: Path) -> None:
    assert found(fence.split()[0] if fence else "", text, tmp_path, *fence.split()[1:]) == []


@pytest.mark.parametrize(
    ("fence", "text", "problem"),
    [
        ("yaml", CONFIGURATION.replace("prior_accuracy", "prior_acuracy"), "prior_acuracy"),
        ("yaml", CONFIGURATION.replace("0.82", "82"), "prior_accuracy"),
        ("yaml", PART, "models: is missing"),
        ("yaml", "a: [b\n", "expected"),
        ("yaml part", PART.replace("month}", "fortnight}"), "budgets[0].period"),
        ("yaml parts", PART, "says nothing"),
        ("yaml of prometheus", "a: [b\n", "expected"),
        ("python", "def f(:\n", "line 1"),
        ("python", "from turnout import Klient\n", "Klient"),
        ("python", "import server.nowhere\n", "server.nowhere"),
        ("python runs", "1 / 0\n", "ZeroDivisionError"),
        ("python run", "print(1)\n", "says nothing"),
        ("sh", "turnout plan --wach\n", "No such option: --wach"),
        ("sh", "turnout plann\n", "plann"),
        ("sh", "turnout check\n", "Missing argument"),
        ("sh", "turnout serve f.yaml --workers many\n", "many"),
        ("sh", "turnout serve f.yaml g.yaml\n", "g.yaml"),
        ("sh", "true && .venv/bin/turnout status --jsn | cat\n", "--jsn"),
        ("sh", "make sreve\n", "no target 'sreve'"),
        ("sh", "python -m benchmarks run pick --toys\n", "--toys"),
        ("sh", "python -m benchmarks.nothing\n", "no module benchmarks.nothing"),
        ("sh", "cp deploy/exmaple.yaml .\n", "no deploy/exmaple.yaml"),
        ("sh", "if true\n", "end of file"),
        ("console", SESSION.replace("--watch", "--wach"), "--wach"),
        ("console", "turnout plan\n", "nothing is typed"),
        ("json", '{"ok": true,}\n', "line 1"),
        ("jsonl", '{"ok": true}\n{"ok":\n', "line 1"),
        ("toml", "[turnout\n", "line 1"),
        ("proto", "message RuteRequest {\n}\n", "no RuteRequest"),
        ("text", "turnout.v1.RoutingService/Rout\n", "no RoutingService/Rout"),
        ("cobol", "STOP RUN.\n", "no check knows 'cobol'"),
    ],
)
def test_what_is_wrong_is_found_and_named(
    fence: str, text: str, problem: str, tmp_path: Path
) -> None:
    language, *marks = fence.split()
    lines = found(language, text, tmp_path, *marks)
    assert all(line.startswith("page.md:7: ") for line in lines)
    assert problem in "\n".join(lines)


def test_the_readme_with_one_key_misspelled_is_found(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text()
    assert "audit_rate" in readme
    mutated = blocks("README.md", readme.replace("audit_rate", "audit_rat"))
    lines = [line for block in mutated for line in problems(block, tmp_path)]
    assert any("audit_rat" in line for line in lines)


@pytest.mark.parametrize(
    "text",
    [
        "turnout plan ID",
        "turnout route --tls-ca FILE",
        "turnout state show|reset",
        "turnout ...",
        ".venv/bin/turnout classifier use [FILE] [--dry-run]",
        "make soak MINUTES=60",
        "python -m benchmarks.soak --only NAME --seconds 10",
    ],
)
def test_a_command_within_a_sentence_may_stand_for_many(text: str) -> None:
    assert span_problems(Span("page.md", 7, text)) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("turnout paln", "no command 'paln'"),
        ("turnout state show|rest", "no command 'rest'"),
        ("turnout route --tls-caa FILE", "no option --tls-caa"),
        ("make soap", "no target 'soap'"),
    ],
)
def test_a_command_within_a_sentence_that_is_not_one_is_found(text: str, problem: str) -> None:
    (line,) = span_problems(Span("page.md", 7, text))
    assert line.startswith("page.md:7: ")
    assert problem in line
