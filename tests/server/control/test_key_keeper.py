import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest

from server.control.kept_config import KeptConfig
from server.control.kept_file import write_whole
from server.control.key_keeper import KeyKeeper, read_ring
from server.control.key_messages import keys_of
from server.control.key_ring import KeyRing, Terms
from server.routing.callers import Callers, Shown
from server.routing.errors import KeyUnknown, NotFound
from server.routing.keys import KEYS_MAX, digest_of
from tests.server.control.told import AUTHOR, NOW_S
from turnout.v1.control_pb2 import KeyUse, WatchKeysResponse

TERMS = Terms("team-a")


class Kept:
    """A keeper on a folder, and a worker's callers that hear of it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "keys.json"
        self.updates = KeptConfig(folder / "live.json", folder / "updates.jsonl")
        self.keeper = KeyKeeper(
            self.path, self.updates, asyncio.Lock(), epoch=7, clock=lambda: NOW_S
        )

    async def told(self) -> WatchKeysResponse:
        """What a worker that begins to watch is told."""
        return await anext(self.keeper.watch())

    async def callers(self) -> Callers:
        found, keys = Callers(), await self.told()
        found.put_in_force(keys_of(keys), lost=keys.lost)
        return found

    async def serves(self, secret: str) -> bool:
        try:
            (await self.callers()).find(Shown([f"Bearer {secret}"]), now_s=NOW_S)
        except KeyUnknown:
            return False
        return True


@pytest.fixture
async def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


async def test_before_the_first_key_none_is_looked_at(kept: Kept) -> None:
    assert not (await kept.callers()).is_on
    assert not kept.path.exists()


async def test_a_key_is_on_the_disk_and_told_when_it_is_answered(kept: Kept) -> None:
    record, secret = await kept.keeper.create(TERMS, by=AUTHOR)
    assert await kept.serves(secret)
    on_disk = read_ring(kept.path)
    assert on_disk is not None
    assert [one.id for one in on_disk.records] == [record.id]
    assert secret.encode() not in kept.path.read_bytes()
    assert kept.path.stat().st_mode & 0o777 == 0o600


async def test_what_was_revoked_stays_so_after_a_restart(kept: Kept, tmp_path: Path) -> None:
    (gone, first), (_, second) = [await kept.keeper.create(TERMS, by=AUTHOR) for _ in range(2)]
    await kept.keeper.revoke(gone.id, by=AUTHOR)
    for one in (kept, Kept(tmp_path)):
        assert [await one.serves(secret) for secret in (first, second)] == [False, True]


async def test_a_rotated_key_has_two_secrets_that_hold(kept: Kept) -> None:
    record, first = await kept.keeper.create(TERMS, by=AUTHOR)
    _, second = await kept.keeper.rotate(record.id, overlap_s=60.0, by=AUTHOR)
    assert first != second
    assert [await kept.serves(secret) for secret in (first, second)] == [True, True]


async def test_each_change_has_another_number_and_one_that_changes_nothing_has_none(
    kept: Kept,
) -> None:
    numbers = [(await kept.told()).number]
    record, _ = await kept.keeper.create(TERMS, by=AUTHOR)
    numbers.append((await kept.told()).number)
    await kept.keeper.revoke(record.id, by=AUTHOR)
    numbers.append((await kept.told()).number)
    await kept.keeper.revoke(record.id, by=AUTHOR)
    assert numbers == sorted(set(numbers))
    assert (await kept.told()).number == numbers[-1] == kept.keeper.number


async def test_who_changed_keys_is_kept_without_their_secrets(kept: Kept) -> None:
    record, secret = await kept.keeper.create(TERMS, by=AUTHOR)
    await kept.keeper.rotate(record.id, overlap_s=60.0, by=AUTHOR)
    await kept.keeper.revoke(record.id, by=AUTHOR)
    texts = [change.text for one in kept.updates.updates() for change in one.changes]
    assert texts == [
        f"keys: {record.id} revoked",
        f"keys: {record.id} rotated, the old secret holds 60 s",
        f"keys: {record.id} created for tenant 'team-a'",
    ]
    assert secret[20:] not in "".join(texts)


async def test_a_change_that_cannot_be_kept_does_not_hold_and_is_not_told(kept: Kept) -> None:
    record, secret = await kept.keeper.create(TERMS, by=AUTHOR)
    kept.path.unlink()
    kept.path.mkdir()
    (kept.path / "in the way").touch()
    with pytest.raises(OSError, match=r"keys\.json"):
        await kept.keeper.revoke(record.id, by=AUTHOR)
    assert await kept.serves(secret)
    assert kept.keeper.ring.find(record.id).revoked_s is None
    assert len(kept.updates.updates()) == 1


@pytest.mark.parametrize("content", [b"", b"{}", b'{"turnout_keys":1,"keys":[{}],"lost":false}'])
async def test_with_a_damaged_file_no_key_holds_and_it_is_set_aside(
    tmp_path: Path, content: bytes
) -> None:
    before = Kept(tmp_path)
    _, secret = await before.keeper.create(TERMS, by=AUTHOR)
    before.path.write_bytes(content)
    for _ in range(2):  # so it is after another start
        damaged = Kept(tmp_path)
        assert not await damaged.serves(secret)
        assert (await damaged.told()).lost
        assert damaged.keeper.ring.lost
    assert (tmp_path / "keys.json.damaged").read_bytes() == content


async def test_a_file_that_others_may_read_is_not_believed(kept: Kept, tmp_path: Path) -> None:
    _, secret = await kept.keeper.create(TERMS, by=AUTHOR)
    kept.path.chmod(0o644)
    assert not await Kept(tmp_path).serves(secret)


async def test_a_kill_while_a_damaged_file_is_set_aside_brings_no_key_back(
    kept: Kept, tmp_path: Path
) -> None:
    await kept.keeper.create(TERMS, by=AUTHOR)
    kept.path.rename(tmp_path / "keys.json.damaged")
    assert (await Kept(tmp_path).told()).lost


async def test_who_shows_no_key_is_no_tenant_where_the_keys_are_lost(
    kept: Kept, tmp_path: Path
) -> None:
    kept.path.write_bytes(b"?")
    callers = await Kept(tmp_path).callers()
    unnamed = callers.find(Shown(), now_s=NOW_S)
    assert unnamed.claim("", field="f") == ""
    with pytest.raises(Exception, match="known by its keys"):
        unnamed.claim("team-a", field="f")


async def test_keys_that_are_made_anew_hold_where_the_others_were_lost(
    kept: Kept, tmp_path: Path
) -> None:
    kept.path.write_bytes(b"?")
    again = Kept(tmp_path)
    _, secret = await again.keeper.create(TERMS, by=AUTHOR)
    assert await Kept(tmp_path).serves(secret)
    assert not (await again.told()).lost


async def test_a_file_that_was_removed_is_written_again(kept: Kept) -> None:
    record, _ = await kept.keeper.create(TERMS, by=AUTHOR)
    kept.path.unlink()
    await kept.keeper.write_again()
    on_disk = read_ring(kept.path)
    assert on_disk == KeyRing((record,))


async def test_what_is_on_the_disk_is_not_written_again(kept: Kept) -> None:
    await kept.keeper.create(TERMS, by=AUTHOR)
    before = os.stat(kept.path).st_ino
    await kept.keeper.write_again()
    assert os.stat(kept.path).st_ino == before


async def test_when_a_key_was_used_last_outlives_a_restart(kept: Kept, tmp_path: Path) -> None:
    record, _ = await kept.keeper.create(TERMS, by=AUTHOR)
    for used_s in (NOW_S + 2, NOW_S + 1):
        kept.keeper.count_use([KeyUse(id=record.id, used_s=used_s)])
    await kept.keeper.write_again()
    assert Kept(tmp_path).keeper.ring.find(record.id).used_s == NOW_S + 2


async def test_what_a_key_asked_and_took_is_summed_over_workers(kept: Kept) -> None:
    record, _ = await kept.keeper.create(TERMS, by=AUTHOR)
    counted = {"requests": 3, "input_tokens": 20, "output_tokens": 5, "cost_nano_usd": 70}
    use = KeyUse(id=record.id, used_s=NOW_S, **counted)
    for worker in ("worker-0", "worker-1"):
        kept.keeper.count_use([use], worker=worker, boot="b1")
    assert kept.keeper.totals.of(record.id) == (6, 40, 10, 140)


async def test_a_use_of_a_key_that_there_is_not_is_not_remembered(kept: Kept) -> None:
    await kept.keeper.create(TERMS, by=AUTHOR)
    kept.keeper.count_use([KeyUse(id="bbbbbbbbbb", used_s=NOW_S)])
    with pytest.raises(NotFound):
        kept.keeper.ring.find("bbbbbbbbbb")
    assert [one.used_s for one in kept.keeper.ring.records] == [None]


async def test_who_watches_is_told_the_keys_in_force_and_then_the_newest_after_changes(
    kept: Kept,
) -> None:
    watch = kept.keeper.watch()
    first = await anext(watch)
    assert (first.epoch, first.made) == (7, False)
    waiting = asyncio.ensure_future(anext(watch))
    await asyncio.sleep(0)
    assert not waiting.done()
    for _ in range(3):
        await kept.keeper.create(TERMS, by=AUTHOR)
    await waiting
    newest = await anext(watch)
    assert [key.tenant for key in newest.keys] == 3 * ["team-a"]


async def test_the_uses_of_as_many_keys_as_there_may_be_are_taken(tmp_path: Path) -> None:
    ids = [f"{number:010}" for number in range(KEYS_MAX)]
    made = KeyRing().created("aaaaaaaaaa", digest_of("a"), TERMS, now_s=NOW_S).records[0]
    ring = KeyRing(tuple(replace(made, id=id_) for id_ in ids))
    write_whole(tmp_path / "keys.json", ring.to_bytes())
    keeper = Kept(tmp_path).keeper
    keeper.count_use([KeyUse(id=id_, used_s=NOW_S) for id_ in ids])
    assert {record.used_s for record in keeper.ring.records} == {NOW_S}
