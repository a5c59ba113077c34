"""The house stays readable: no module outgrows its idea, and no `__init__` holds code."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("server", "optimizer", "clients", "benchmarks", "tests")
LINES_MAX = 300
TEST_LINES_MAX = 400


def modules() -> Iterator[Path]:
    """All that people write; stubs are generated."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if not path.stem.endswith(("_pb2", "_pb2_grpc")) and "node_modules" not in path.parts:
                yield path.relative_to(ROOT)


def too_long(module: Path, text: str) -> str | None:
    """Which module has more lines than it may, and what to do."""
    most = TEST_LINES_MAX if module.parts[0] == "tests" else LINES_MAX
    count = text.count("\n")
    if count <= most:
        return None
    return (
        f"{module} has {count} lines, at most {most} are read at one sitting: find the second idea "
        "in it, and give that a module named after it"
    )


def holds_code(module: Path, text: str) -> str | None:
    """Which `__init__` is more than a docstring, and what to do.

    What a distribution shows is what the `__init__` of its package imports, and no more than that.
    """
    body = ast.parse(text).body
    code = body[1:] if ast.get_docstring(ast.Module(body, [])) is not None else body
    if module.parts[0] == "clients":
        code = [node for node in code if not _shows(node)]
    if not code:
        return None
    return (
        f"{module} holds code (line {code[0].lineno}): move it to a module named after what it "
        "does, and import it from there; a docstring may stay"
    )


def _shows(node: ast.stmt) -> bool:
    names_all = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    return names_all or isinstance(node, ast.ImportFrom)


def test_no_module_outgrows_its_idea() -> None:
    found = [too_long(module, (ROOT / module).read_text()) for module in modules()]
    assert not any(found), "\n".join(filter(None, found))


def test_no_init_holds_code() -> None:
    inits = [module for module in modules() if module.name == "__init__.py"]
    found = [holds_code(module, (ROOT / module).read_text()) for module in inits]
    assert not any(found), "\n".join(filter(None, found))


@pytest.mark.parametrize(
    ("module", "lines", "says"),
    [
        ("server/app/worker.py", 300, None),
        ("server/app/worker.py", 301, "server/app/worker.py has 301 lines, at most 300"),
        ("tests/server/test_serve.py", 400, None),
        (
            "tests/server/test_serve.py",
            401,
            "tests/server/test_serve.py has 401 lines, at most 400",
        ),
    ],
)
def test_a_module_that_is_too_long_is_named(module: str, lines: int, says: str | None) -> None:
    found = too_long(Path(module), "x = 1\n" * lines)
    assert found is None if says is None else (found or "").startswith(says)


@pytest.mark.parametrize(
    ("module", "text", "line"),
    [
        ("server/app/__init__.py", "", None),
        ("server/app/__init__.py", '"""Processes."""\n', None),
        ("server/app/__init__.py", '"""Processes."""\n\nfrom server.app.worker import main\n', 3),
        ("server/app/__init__.py", "LIMIT = 3\n", 1),
        ("clients/python/turnout/__init__.py", 'from a import b\n\n__all__ = ["b"]\n', None),
        ("clients/python/turnout/__init__.py", "from a import b\n\nLIMIT = 3\n", 3),
    ],
)
def test_an_init_that_holds_code_is_named(module: str, text: str, line: int | None) -> None:
    found = holds_code(Path(module), text)
    assert found is None if line is None else f"{module} holds code (line {line})" in (found or "")
