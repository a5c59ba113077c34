import json
from pathlib import Path

import pytest

from tests.server.cli.conftest import Run

CONFIG = """\
models:
  - name: m
    protocol: openai
    endpoints: ["h:1"]
    price: {request_usd: 1}
    prior_accuracy: 0.9
domains:
  - {name: law, match: {keywords: {any_of: [contract, clause]}}}
classes:
  - {name: vip, match: {labels: {app: [chat]}, tenant: [acme]}}
  - {name: code-help, match: {structures: [code], languages: [en, de]}}
  - name: legal
    match:
      - domains: [law]
      - priority: {min: 5}
  - {name: rest, default: true}
"""
SHOWN = """\
class         legal, by the rule of legal
domain        law
intent        not known
size          s0: about {tokens} tokens
payload       text
language      en, script latin
structure     question
keywords      clause, contract
domain rules  matches law
class rules   does not vip: not labels app, tenant acme
              does not code-help: not structures code
              matches legal[0]
              does not legal[1]: not priority from 5
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "turnout.yaml"
    path.write_text(CONFIG)
    return path


def test_a_text_is_read_and_every_rule_explained(run: Run, config: Path) -> None:
    result = run("classify", "Is this clause of the contract valid?", "--config", config)
    assert result.exit_code == 0
    lines = [line.rstrip() for line in result.stdout.splitlines()]
    tokens = lines[3].split()[3]
    assert lines == SHOWN.format(tokens=tokens).splitlines()
    assert int(tokens) > 0


def test_json_says_the_same_and_more(run: Run, config: Path) -> None:
    text = "Write a python function that adds two numbers."
    found = json.loads(run("classify", text, "--config", config, "--json").stdout)
    assert (found["class"], found["rule"], found["domain"]) == ("code-help", "code-help", "other")
    assert (found["language"], found["script"]) == ("en", "latin")
    assert found["structures"] == ["code", "instruction"]
    assert found["code_language"] == "python"
    assert (found["learned"], found["words"]) == (None, [])
    assert found["class_rules"][1] == {
        "name": "code-help",
        "block": None,
        "matches": True,
        "conditions": [
            {"wanted": "structures code", "holds": True},
            {"wanted": "languages en or de", "holds": True},
        ],
    }


def test_who_asks_counts_as_it_does_in_service(run: Run, config: Path) -> None:
    said = ("--tenant", "acme", "--label", "app=chat", "--json", "--config", config)
    assert json.loads(run("classify", "hi", *said).stdout)["class"] == "vip"


def test_without_a_configuration_the_text_is_read_all_the_same(run: Run) -> None:
    shown = run("classify", "Wie ist das Wetter heute?").stdout
    assert "class      any, by default: no rule matched" in shown
    assert "language   de, script latin" in shown


def test_the_content_can_come_from_a_file(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "prompt.txt"
    file.write_text("Привет, как мне это сделать?")
    found = json.loads(run("classify", "--file", file, "--json").stdout)
    assert (found["language"], found["structures"]) == ("ru", ["question"])


def test_a_chat_is_read_by_its_last_turn(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "chat.json"
    turns = [
        {"role": "system", "content": "Was ist das und wie ist es?"},
        {"role": "user", "content": "What is the capital of the country that I live in?"},
    ]
    file.write_text(json.dumps({"messages": turns}))
    found = json.loads(run("classify", "--chat", "--file", file, "--json").stdout)
    assert found["language"] == "en"


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (b"\xff", (), "the text is not UTF-8"),
        (b"{}", ("--chat",), "openai_chat.messages: must be a list of at least one message"),
    ],
)
def test_what_cannot_be_read_is_said(
    run: Run, tmp_path: Path, content: bytes, options: tuple[str, ...], message: str
) -> None:
    file = tmp_path / "content"
    file.write_bytes(content)
    result = run("classify", "--file", file, *options)
    assert (result.exit_code, result.stdout) == (1, "")
    assert message in result.stderr


def test_a_file_that_is_not_there_is_said(run: Run, tmp_path: Path) -> None:
    result = run("classify", "--file", tmp_path / "nothing")
    assert result.exit_code == 1
    assert "cannot be read: No such file or directory" in result.stderr


def test_a_file_that_is_no_classifier_is_said(run: Run, config: Path) -> None:
    result = run("classify", "hi", "--classifier", config)
    assert result.exit_code == 1
    assert "this is no classifier" in result.stderr


def test_a_configuration_with_problems_is_not_read_by(run: Run, config: Path) -> None:
    config.write_text(CONFIG.replace("languages: [en, de]", "languages: [xx]"))
    result = run("classify", "hi", "--config", config)
    assert result.exit_code == 1
    assert "classes[1].match.languages[0]: must be 'en'" in result.stderr
