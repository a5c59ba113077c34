"""Whatever is in the files of the state folder is read or refused, and nothing else follows."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.config.as_json import from_json, to_json
from server.config.changes import Change
from server.config.diagnostics import ConfigError
from server.config.schema import Config
from server.control.budgets import Spending
from server.control.kept_file import write_whole
from server.control.kept_requests import KeptRequests, kept_ids, read_kept
from server.control.messages import update_message
from server.control.update_log import Update, UpdateLog, read_log
from tests.server.control.told import AUTHOR, NOW_S, service

LIVE = to_json(service())
SPENT = b'{"team":{"start_s":1719878400.0,"nano_usd":1234567}}'
KEPT = b'{"id": "a", "text": "b", "domain": "law", "intent": ""}\n{"id": "a", "true_domain": "c"}\n'
UPDATES = (
    UpdateLog()
    .with_update(Update.of([Change("a.b", "1", "2", "a.b: 1 -> 2")], AUTHOR, now_s=NOW_S))
    .to_bytes()
)
# What a number, a name or a nesting may become.
PIECES = (b"", b"0", b"-1", b"1e999", b"NaN", b"null", b"[" * 2_000, b'"', b"\xff", b"{}", b"\0")


def damaged(whole: bytes) -> st.SearchStrategy[bytes]:
    """The whole with a part of it replaced, or anything."""
    places = st.integers(0, len(whole))
    piece = st.one_of(st.sampled_from(PIECES), st.binary(max_size=20))

    def replaced(start: int, length: int, piece: bytes) -> bytes:
        return whole[:start] + piece + whole[start + length :]

    return st.one_of(st.binary(), st.builds(replaced, places, st.integers(0, 40), piece))


in_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(damaged(LIVE))
def test_a_live_configuration_is_read_or_refused(content: bytes) -> None:
    with suppress(ConfigError):
        assert isinstance(from_json(content), Config)


@given(damaged(SPENT))
def test_what_was_spent_is_read_and_planned_with_or_refused(content: bytes) -> None:
    spending = Spending()
    config = service()
    spending.configure(config.budgets)
    with suppress(ValueError):
        spending.restore_json(content)
    (state,) = spending.states(window_s=5.0, now_s=NOW_S).values()
    assert state.pace_nano_usd_per_s > 0


@in_one_folder
@given(content=damaged(UPDATES))
def test_updates_are_listed_or_set_aside(tmp_path: Path, content: bytes) -> None:
    write_whole(tmp_path / "updates.jsonl", content)
    for update in read_log(tmp_path / "updates.jsonl").newest_first():
        assert update_message(update).time.seconds >= 0


@pytest.mark.parametrize("read", [read_kept, kept_ids])
@in_one_folder
@given(content=damaged(KEPT))
def test_kept_requests_are_read_whatever_is_among_them(
    tmp_path: Path, read: Callable[[Path], list[object]], content: bytes
) -> None:
    (tmp_path / "requests.jsonl").write_bytes(content)
    assert len(read(tmp_path)) <= len(content.splitlines())


@in_one_folder
@given(content=damaged(KEPT))
def test_requests_are_kept_behind_whatever_is_there(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "requests.jsonl"
    file.touch(mode=0o600)
    file.write_bytes(content + b"\n")
    kept = KeptRequests(tmp_path, 10)
    kept.add("new", "text", domain="law", intent="")
    kept.writing()()
    assert read_kept(tmp_path)[-1].text == "text"
