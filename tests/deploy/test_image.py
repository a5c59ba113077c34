"""deploy/Dockerfile: its steps, done in a plain folder, make a service that runs by itself."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.version import VERSION
from tests.deploy.dockerfile import ROOT, command, instructions, last
from tests.server.running import Service, answering, routing, write_config
from turnout.v1 import routing_pb2

KNOWN = {
    *("ARG", "FROM", "WORKDIR", "COPY", "RUN", "ENV", "VOLUME", "USER", "EXPOSE"),
    *("HEALTHCHECK", "ENTRYPOINT", "CMD"),
}
# What stands for the image's own folders is below a folder of the test's.
FOLDERS = ("/opt/", "/var/lib/", "/src")
PATIENCE_S = 50.0


class Image:
    """What the steps made, below a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def place(self, text: str) -> str:
        """The same with the image's folders as they are here, and our user as its."""
        for folder in FOLDERS:
            text = text.replace(folder, f"{self.folder}{folder}")
        user, _, group = last("USER").partition(":")
        return text.replace(f"-o {user} -g {group}", f"-o {os.geteuid()} -g {os.getegid()}")

    def environment(self) -> dict[str, str]:
        """Nothing of the test's own: no checkout, no virtual environment."""
        pairs = [word.partition("=") for word in last("ENV").split()]
        given = {name: self.place(value) for name, _, value in pairs}
        return given | {"PATH": given["PATH"].replace("$PATH", os.defpath)}

    def build(self) -> None:
        """Does COPY and RUN as they stand."""
        workdir = self.folder
        for name, text in instructions():
            if name == "WORKDIR":
                workdir = Path(self.place(text))
                workdir.mkdir(parents=True)
            elif name == "COPY":
                self._copy(text.split(), workdir)
            elif name == "RUN":
                self._run(self.place(text), workdir)

    def _copy(self, words: list[str], workdir: Path) -> None:
        *sources, target = words
        if sources[0].startswith("--from="):  # both stages are one folder here
            assert Path(self.place(target)).is_dir()
            return
        into = workdir / self.place(target)
        for source in sources:
            if (ROOT / source).is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(ROOT / source, into, ignore=ignored)
            else:
                into.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / source, into)

    def _run(self, step: str, workdir: Path) -> None:
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(
            ["sh", "-c", step], cwd=workdir, env=kept, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{step}\n{done.stdout}{done.stderr}"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    made = Image(tmp_path_factory.mktemp("image"))
    made.build()
    shutil.rmtree(made.place("/src"))  # of the first stage only /opt/turnout is kept
    return made


@pytest.fixture
async def service(image: Image, tmp_path: Path) -> AsyncIterator[Service]:
    """The image's own command, with a configuration of ours."""
    async with answering() as (_, endpoint):
        path = write_config(tmp_path, endpoint)
        text = path.read_text().splitlines(keepends=True)
        path.write_text("".join(line for line in text if not line.startswith("state_dir")))
        words = [image.place(word) for word in command("ENTRYPOINT") + command("CMD")]
        process = await asyncio.create_subprocess_exec(
            *(str(path) if word == "/etc/turnout/turnout.yaml" else word for word in words),
            cwd=tmp_path,
            env=image.environment(),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        service = Service(process, Path(image.place("/var/lib/turnout/turnout")))
        try:
            service.data = str((await service.read_until("serving"))["data"])
            yield service
        finally:
            if process.returncode is None:
                process.terminate()
            await process.communicate()


async def health(image: Image, address: str) -> int | None:
    process = await asyncio.create_subprocess_exec(
        *(image.place(word) for word in command("HEALTHCHECK")),
        address,
        env=image.environment(),
        stdout=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(PATIENCE_S):
        return await process.wait()


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_what_the_steps_made_routes_by_itself(image: Image, service: Service) -> None:
    async with routing(service.data) as stub:
        decision = await stub.Route(routing_pb2.RouteRequest(), timeout=20)
    assert decision.target.model == "small"
    assert (service.state_dir / "decision.key").exists()
    assert service.state_dir.stat().st_mode & 0o777 == 0o700


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_its_health_check_knows_whether_it_runs(image: Image, service: Service) -> None:
    assert await health(image, service.data) == 0
    service.process.terminate()
    await service.process.communicate()
    assert await health(image, service.data) == 1


def test_every_instruction_is_one_of_docker_and_what_runs_needs_no_shell() -> None:
    assert {each.name for each in instructions()} <= KNOWN
    assert command("ENTRYPOINT") + command("CMD") == [
        "/opt/turnout/bin/turnout",
        "serve",
        "/etc/turnout/turnout.yaml",
    ]


def test_it_runs_as_nobody_in_particular() -> None:
    user, _, group = last("USER").partition(":")
    assert int(user) >= 10_000
    assert int(group) >= 10_000


def test_the_builder_is_sent_all_that_is_copied() -> None:
    ignore = (ROOT / "deploy" / "Dockerfile.dockerignore").read_text().splitlines()
    sent = {line.removeprefix("!") for line in ignore if line.startswith("!")}
    copied = {
        source.rstrip("/")
        for name, text in instructions()
        if name == "COPY" and not text.startswith("--from")
        for source in text.split()[:-1]
    }
    assert copied == sent
    assert all((ROOT / source).exists() for source in copied)


def test_both_packages_are_of_the_version_that_the_service_names() -> None:
    for project in (ROOT, ROOT / "clients" / "python"):
        assert f'\nversion = "{VERSION}"\n' in (project / "pyproject.toml").read_text()
