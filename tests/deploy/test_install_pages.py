"""docs/install.md and docs/upgrade.md say what deploy/, requirements/ and the state folder have."""

import re

from tests.deploy.dockerfile import ROOT, last

INSTALL, UPGRADE, OPERATE = (
    (ROOT / "docs" / f"{name}.md").read_text() for name in ("install", "upgrade", "operate")
)
UNIT = (ROOT / "deploy" / "turnout.service").read_text()


def first_cells(page: str) -> list[str]:
    """What stands in code in the first column of its tables."""
    rows = re.findall(r"^\| (`.+?) \|", page, re.MULTILINE)
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row)]


def test_every_lock_has_its_line() -> None:
    locks = {f"requirements/{path.name}" for path in (ROOT / "requirements").iterdir()}
    assert set(first_cells(INSTALL)) == locks


def test_the_image_and_the_unit_install_by_the_lock_of_the_service() -> None:
    script = (ROOT / "deploy" / "install.sh").read_text()
    assert re.findall(r"^locked \"\S+\" (\w+)$", script, re.MULTILINE) == ["serve", "build"]


def test_every_file_of_the_state_folder_has_its_line_in_what_is_kept() -> None:
    section = OPERATE.partition("## The state folder")[2].partition("\n## ")[0]
    assert set(first_cells(UPGRADE)) == set(first_cells(section))


def test_the_pages_name_the_folders_of_the_unit_and_of_the_image() -> None:
    assert "/opt/turnout/bin/turnout" in INSTALL
    assert "ExecStart=/opt/turnout/bin/turnout serve /etc/turnout/turnout.yaml" in UNIT
    assert f"state_dir: /var/lib/{re.findall('^StateDirectory=(.+)$', UNIT, re.M)[0]}" in INSTALL
    assert last("VOLUME") in INSTALL
    assert f"runs as user {last('USER').partition(':')[0]}" in INSTALL
