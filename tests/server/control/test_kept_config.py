from pathlib import Path

import pytest
from structlog.testing import capture_logs

from server.config.as_json import from_json
from server.config.changes import changes
from server.config.live import updated
from server.config.schema import Config
from server.control.kept_config import CHANGES_LOGGED_MAX, START, KeptConfig, keep_start
from server.control.update_log import read_log
from tests.server.control.told import AUTHOR, NOW_S, service

BEFORE = service()


def cheaper(config: Config, amount_usd: float = 12.0) -> Config:
    return updated(config, "budgets", "team", {"amount_usd": amount_usd})


def kept_in(folder: Path) -> KeptConfig:
    return KeptConfig(folder / "live.json", folder / "updates.jsonl")


async def test_a_configuration_and_who_made_it_are_on_the_disk(tmp_path: Path) -> None:
    await kept_in(tmp_path).replace(BEFORE, cheaper(BEFORE), AUTHOR, now_s=NOW_S)
    assert from_json((tmp_path / "live.json").read_bytes()) == cheaper(BEFORE)
    (update,) = read_log(tmp_path / "updates.jsonl").newest_first()
    assert (update.time_s, update.author) == (NOW_S, AUTHOR)
    assert [change.path for change in update.changes] == ["budgets.team.amount_usd"]


async def test_the_log_has_the_first_changes_of_an_update_and_how_many_more(tmp_path: Path) -> None:
    many = [{"name": f"class-{number}"} for number in range(CHANGES_LOGGED_MAX + 5)]
    after = service(classes=[{"name": "code", "default": True}, *many], budgets=())
    with capture_logs() as logs:
        await kept_in(tmp_path).replace(BEFORE, after, AUTHOR, now_s=NOW_S)
    (log,) = logs
    found = changes(BEFORE, after)
    assert log["changes"] == [change.text for change in found[:CHANGES_LOGGED_MAX]]
    assert log["left_out"] == len(found) - CHANGES_LOGGED_MAX > 0


async def test_a_start_takes_up_the_updates_of_before(tmp_path: Path) -> None:
    await kept_in(tmp_path).replace(BEFORE, cheaper(BEFORE), AUTHOR, now_s=NOW_S)
    again = kept_in(tmp_path)
    await again.replace(cheaper(BEFORE), BEFORE, AUTHOR, now_s=NOW_S + 1)
    assert [update.time_s for update in again.updates()] == [NOW_S + 1, NOW_S]


async def test_a_configuration_that_cannot_be_kept_leaves_no_update(tmp_path: Path) -> None:
    kept = kept_in(tmp_path)
    await kept.replace(BEFORE, cheaper(BEFORE), AUTHOR, now_s=NOW_S)
    (tmp_path / "live.json").unlink()
    (tmp_path / "live.json").mkdir()  # no file takes its place
    with pytest.raises(OSError, match="directory"):
        await kept.replace(cheaper(BEFORE), BEFORE, AUTHOR, now_s=NOW_S + 1)
    on_disk = read_log(tmp_path / "updates.jsonl")
    assert [update.time_s for update in on_disk.newest_first()] == [NOW_S]
    assert [update.time_s for update in kept.updates()] == [NOW_S]


async def test_an_update_that_cannot_be_kept_leaves_the_configuration(tmp_path: Path) -> None:
    kept = kept_in(tmp_path)
    (tmp_path / "updates.jsonl").mkdir()
    with pytest.raises(OSError, match="directory"):
        await kept.replace(BEFORE, cheaper(BEFORE), AUTHOR, now_s=NOW_S)
    assert not (tmp_path / "live.json").exists()
    assert kept.updates() == []


async def test_what_others_removed_is_written_again(tmp_path: Path) -> None:
    kept = kept_in(tmp_path)
    await kept.replace(BEFORE, cheaper(BEFORE), AUTHOR, now_s=NOW_S)
    (tmp_path / "live.json").unlink()
    (tmp_path / "updates.jsonl").unlink()
    await kept.write_again(cheaper(BEFORE))
    assert from_json((tmp_path / "live.json").read_bytes()) == cheaper(BEFORE)
    assert len(read_log(tmp_path / "updates.jsonl").newest_first()) == 1


def test_what_a_start_of_the_service_undoes_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "updates.jsonl"
    keep_start(path, cheaper(BEFORE), BEFORE, now_s=NOW_S)
    (update,) = read_log(path).newest_first()
    assert (update.time_s, update.author) == (NOW_S, START)
    assert [change.text for change in update.changes] == [
        f"budgets.team.amount_usd: 12.0 -> {BEFORE.budgets[0].amount_usd}"
    ]


def test_a_start_with_what_held_before_is_no_update(tmp_path: Path) -> None:
    keep_start(tmp_path / "updates.jsonl", BEFORE, BEFORE, now_s=NOW_S)
    assert not (tmp_path / "updates.jsonl").exists()
