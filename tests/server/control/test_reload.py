"""A configuration file that takes the place of the one in force, on a real control plane."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import yaml
from structlog.testing import capture_logs

from server.config.as_json import from_json
from server.config.file import FILE_BYTES_MAX
from server.config.live import updated
from server.config.parse import parse
from server.config.schema import Config
from server.control.kept_file import write_whole
from server.control.plane import ControlPlane
from server.control.reload import LOGGED_MAX, Reloads
from server.control.update_log import Author
from tests.server.configs import plain
from tests.server.control.served import (
    PATIENCE_S,
    Served,
    Worker,
    control_plane,
    files_in,
    serving,
)

ALICE = Author("uid 1000", "alice")
PRICE = ("models", 0, "price", "request_usd")
CHEAPER = "models.small.price.request_usd: 0.001 -> 0.0005"


def text(*put: tuple[tuple[str | int, ...], object]) -> bytes:
    return yaml.safe_dump(plain(*put), sort_keys=False).encode()


@pytest.fixture
def plane(tmp_path: Path) -> ControlPlane:
    return control_plane(tmp_path, parse(plain()))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "turnout.yaml"
    file.write_bytes(text())
    return file


@pytest.fixture
def reloads(plane: ControlPlane, file: Path) -> Reloads:
    return Reloads(plane, file)


@pytest.fixture
async def served(plane: ControlPlane, tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(plane, tmp_path) as served:
        yield served


def kept(tmp_path: Path) -> Config:
    return from_json(files_in(tmp_path).live_config.read_bytes())


async def test_a_file_takes_the_place_of_the_configuration_in_force_and_is_kept(
    plane: ControlPlane, reloads: Reloads, tmp_path: Path
) -> None:
    data = text((PRICE, 0.0005))
    reloaded = await reloads.reload(data, by=ALICE)
    assert reloaded.in_force
    assert [change.text for change in reloaded.changes] == [CHEAPER]
    assert plane.config == kept(tmp_path) == parse(yaml.safe_load(data))


async def test_the_file_of_the_start_is_read_again_as_it_is_then(
    plane: ControlPlane, reloads: Reloads, file: Path
) -> None:
    write_whole(file, text((PRICE, 0.0005)))
    with capture_logs() as logs:
        assert (await reloads.reload_file()).in_force
    assert plane.config.models[0].price.request_usd == 0.0005
    assert [(log["event"], log.get("changes")) for log in logs] == [
        ("reading the configuration again", None),
        ("configuration updated", [CHEAPER]),
        ("configuration reloaded", 1),
    ]
    assert logs[0]["file"] == str(file)


async def test_a_dry_run_changes_nothing_and_says_what_would(
    plane: ControlPlane, reloads: Reloads, tmp_path: Path
) -> None:
    before = plane.config
    with capture_logs() as logs:
        reloaded = await reloads.reload(text((PRICE, 0.0005)), by=ALICE, dry_run=True)
    assert not reloaded.in_force
    assert [change.text for change in reloaded.changes] == [CHEAPER]
    assert plane.config is before
    assert not files_in(tmp_path).live_config.exists()
    assert logs == []


async def test_a_file_undoes_what_operators_changed_while_it_ran_and_says_so(
    plane: ControlPlane, reloads: Reloads
) -> None:
    await plane.update(
        lambda config: updated(config, "models", "large", {"enabled": False}), by=ALICE
    )
    reloaded = await reloads.reload_file()
    assert [change.text for change in reloaded.changes] == ["models.large.enabled: false -> true"]
    assert plane.config.models[1].enabled


async def test_a_reload_is_kept_with_who_asked_and_what_it_changed(
    plane: ControlPlane, reloads: Reloads, file: Path
) -> None:
    await reloads.reload_file()
    assert plane.updates() == []
    await reloads.reload(text((PRICE, 0.0005)), by=ALICE)
    await reloads.reload_file()
    found = [(update.author, [c.text for c in update.changes]) for update in plane.updates()]
    assert found == [
        (Author("SIGHUP"), ["models.small.price.request_usd: 0.0005 -> 0.001"]),
        (ALICE, [CHEAPER]),
    ]


REFUSED: dict[str, tuple[bytes, str, str]] = {
    "syntax": (b"models: [\n", "", "this is not YAML"),
    "key": (text((("window",), 1)), "window", "did you mean 'window_s'?"),
    "floor": (text((("classes", 0, "floor"), 0.99)), "classes[0].floor", "cannot be reached"),
    "listener": (text((("listeners", "data"), "[::1]:1")), "listeners.data", "restart it"),
    "size": (b"#" * (FILE_BYTES_MAX + 1), "", "at most 4 MiB"),
}


@pytest.mark.parametrize(("data", "path", "words"), REFUSED.values(), ids=REFUSED)
async def test_a_bad_file_leaves_the_configuration_in_force(
    plane: ControlPlane, reloads: Reloads, data: bytes, path: str, words: str
) -> None:
    before = plane.config
    with capture_logs() as logs:
        reloaded = await reloads.reload(data, by=ALICE)
    assert plane.config is before
    (problem,) = reloaded.diagnostics
    assert (problem.path, words in problem.message) == (path, True)
    (log,) = logs
    assert (log["log_level"], log["who"], log["line"]) == ("error", ALICE.who, problem.line)
    assert (log["field"], log["error"]) == (problem.path, problem.message)


async def test_a_problem_is_told_with_its_line(reloads: Reloads) -> None:
    data = text((("classes", 1, "flor"), 1))
    reloaded = await reloads.reload(data, by=ALICE)
    lines = data.decode().splitlines()
    (problem,) = reloaded.diagnostics
    assert problem.line is not None
    assert lines[problem.line - 1].strip() == "flor: 1"


@pytest.mark.timeout(60)
async def test_a_classifier_that_nobody_writes_keeps_no_reload_waiting(
    plane: ControlPlane, reloads: Reloads, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "classifier.bin")
    data = text((("classifier",), {"file": str(tmp_path / "classifier.bin")}))
    reloaded = await reloads.reload(data, by=ALICE)
    assert [problem.path for problem in reloaded.diagnostics] == ["classifier.file"]
    assert (await reloads.reload(text((PRICE, 0.0005)), by=ALICE)).in_force


def _folder_in_its_place(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [(Path.unlink, "No such file"), (_folder_in_its_place, "Is a directory")],
    ids=["gone", "folder"],
)
async def test_a_file_that_cannot_be_read_leaves_the_configuration_in_force(
    plane: ControlPlane, reloads: Reloads, file: Path, spoil: Callable[[Path], None], words: str
) -> None:
    spoil(file)
    before = plane.config
    with capture_logs() as logs:
        reloaded = await reloads.reload_file()
    assert plane.config is before
    assert words in reloaded.diagnostics[0].message
    assert logs[0]["file"] == str(file)
    assert [(log["log_level"], log["who"]) for log in logs[1:]] == [("error", "SIGHUP")]


async def test_a_folder_that_cannot_be_written_leaves_the_configuration_in_force(
    plane: ControlPlane, reloads: Reloads, tmp_path: Path
) -> None:
    before = plane.config
    files_in(tmp_path).live_config.mkdir()  # nothing can be renamed to a folder
    reloaded = await reloads.reload(text((PRICE, 0.0005)), by=ALICE)
    assert plane.config is before
    assert "cannot be kept in the state folder" in reloaded.diagnostics[0].message


async def test_of_two_reloads_at_once_each_is_whole_and_the_last_holds(
    plane: ControlPlane, reloads: Reloads, tmp_path: Path
) -> None:
    prices = [0.006, 0.007, 0.008, 0.009]
    files = [text((PRICE, price), (("window_s",), price * 1_000)) for price in prices]
    found = await asyncio.gather(*(reloads.reload(data, by=ALICE) for data in files))
    assert all(reloaded.in_force for reloaded in found)
    config = plane.config
    assert config.window_s == config.models[0].price.request_usd * 1_000
    assert config == kept(tmp_path)
    # Each says what it changed of the one before it, so that they make a chain.
    steps = sorted((c.before, c.after) for r in found for c in r.changes if c.path == "window_s")
    assert len(steps) == len(prices)
    assert {after for _, after in steps} - {before for before, _ in steps} == {str(config.window_s)}


async def test_who_gives_up_waiting_leaves_it_whole_and_told(
    plane: ControlPlane, reloads: Reloads
) -> None:
    asking = asyncio.create_task(reloads.reload(text((PRICE, 0.0005)), by=ALICE))
    await asyncio.sleep(0)
    asking.cancel()
    async with asyncio.timeout(PATIENCE_S):
        while not plane.updates():  # noqa: ASYNC110 - nobody waits for it any more
            await asyncio.sleep(0.01)
        await reloads.reload(text((PRICE, 0.0005)), by=ALICE)  # behind it
    assert plane.config.models[0].price.request_usd == 0.0005


async def test_a_file_that_says_what_is_in_force_changes_nothing(
    served: Served, reloads: Reloads
) -> None:
    worker = Worker(served.channel)
    first = await worker.next()
    reloaded = await reloads.reload_file()
    assert (reloaded.in_force, reloaded.changes) == (True, ())
    await reloads.reload(text((PRICE, 0.0005)), by=ALICE)
    assert (await worker.next()).number == first.number + 1


async def test_a_worker_that_has_not_followed_is_named(
    served: Served, reloads: Reloads, plane: ControlPlane
) -> None:
    worker = Worker(served.channel)
    snapshot = await worker.next()
    await worker.push(config=snapshot)
    assert plane.behind() == []
    await reloads.reload(text((PRICE, 0.0005)), by=ALICE)
    assert plane.behind() == ["w0"]
    await worker.push(config=await worker.next())
    assert plane.behind() == []
    assert await reloads.behind() == []


async def test_of_a_file_with_many_mistakes_the_log_has_the_first(reloads: Reloads) -> None:
    mistakes = "".join(f"mistake_{number}: 1\n" for number in range(LOGGED_MAX + 1))
    with capture_logs() as logs:
        reloaded = await reloads.reload(text() + mistakes.encode(), by=ALICE)
    assert len(reloaded.diagnostics) == LOGGED_MAX + 1
    assert len(logs) == LOGGED_MAX


async def test_what_breaks_a_reload_does_not_break_what_is_in_force(
    file: Path, tmp_path: Path
) -> None:
    """A control plane that died of it would be asked again at its next start, and die again."""
    clock = _Clock()
    plane = control_plane(tmp_path, parse(plain()), clock=clock)
    before, wanted, done = plane.config, asyncio.Event(), asyncio.Event()
    following = asyncio.create_task(Reloads(plane, file).follow(wanted, done.set))
    write_whole(file, text((PRICE, 0.0005)))
    clock.is_broken = True
    with capture_logs() as logs:
        wanted.set()
        await asyncio.wait_for(done.wait(), PATIENCE_S)
    assert logs[-1]["event"] == "reload failed, the configuration in force stays"
    assert plane.config is before
    clock.is_broken = False
    done.clear()
    wanted.set()
    await asyncio.wait_for(done.wait(), PATIENCE_S)
    assert plane.config.models[0].price.request_usd == 0.0005
    following.cancel()


async def test_a_reload_is_done_when_none_was_asked_for_meanwhile(
    plane: ControlPlane, file: Path
) -> None:
    """Or one that is asked for last would be lost with a control plane that dies of it."""
    wanted, done = asyncio.Event(), list[float]()
    following = asyncio.create_task(
        Reloads(plane, file).follow(wanted, lambda: done.append(plane.config.window_s))
    )
    wanted.set()
    async with asyncio.timeout(PATIENCE_S):
        while wanted.is_set():  # noqa: ASYNC110 - it is cleared, which nobody can wait for
            await asyncio.sleep(0)
        write_whole(file, text((("window_s",), 7)))
        wanted.set()
        while not done:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.001)
    assert done == [7.0]
    following.cancel()


class _Clock:
    """One that breaks."""

    def __init__(self) -> None:
        self.is_broken = False

    def __call__(self) -> float:
        if self.is_broken:
            raise RuntimeError("no time")
        return time.time()
