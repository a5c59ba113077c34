"""What a worker says of its pushes."""

from server.app.stats import Pushes


def test_pushes_are_numbered_and_name_whom_the_worker_follows() -> None:
    pushes = Pushes("b0")
    before = pushes.next(more=False)
    assert pushes.follow(7)
    after = pushes.next(more=True)
    assert (before["sequence"], before["began_epoch"], before["epoch"]) == (1, 0, 0)
    assert (after["sequence"], after["began_epoch"], after["epoch"]) == (2, 7, 7)
    assert (before["more"], after["more"]) == (False, True)


def test_another_start_of_the_control_plane_is_told_all_and_when_the_worker_began() -> None:
    pushes = Pushes("b0")
    assert [pushes.follow(epoch) for epoch in (7, 7, 9)] == [True, False, True]
    header = pushes.next(more=False)
    assert (header["began_epoch"], header["epoch"]) == (7, 9)
