from collections.abc import Mapping
from pathlib import Path

import pytest

from server.config.diagnostics import ConfigError
from server.config.parse import parse
from server.config.state_dir import STATE_DIR_BYTES_MAX, state_dir
from tests.server.configs import plain


@pytest.mark.parametrize(
    ("given", "environ", "folder"),
    [
        (None, {"HOME": "/home/ann"}, "/home/ann/.local/state/turnout"),
        (None, {"HOME": "/home/ann", "XDG_STATE_HOME": "/state"}, "/state/turnout"),
        (None, {"HOME": "/home/ann", "XDG_STATE_HOME": "state"}, "/home/ann/.local/state/turnout"),
        ("/run/turnout", {"XDG_STATE_HOME": "/state"}, "/run/turnout"),
        ("~/turnout", {"HOME": "/home/ann"}, "/home/ann/turnout"),
    ],
)
def test_the_state_folder_is_the_one_given_or_the_users_own(
    given: str | None, environ: Mapping[str, str], folder: str
) -> None:
    config = parse(plain((("state_dir",), given)))
    assert state_dir(config, environ) == Path(folder)


@pytest.mark.parametrize("environ", [{}, {"HOME": ""}, {"HOME": "home"}])
def test_without_a_home_the_state_folder_has_to_be_given(environ: Mapping[str, str]) -> None:
    with pytest.raises(ConfigError, match="state_dir: must be an absolute path"):
        state_dir(parse(plain()), environ)


def test_a_state_folder_is_short_enough_for_the_sockets_in_it() -> None:
    config = parse(plain((("state_dir",), "~/a")))
    longest = "/" + (STATE_DIR_BYTES_MAX - len("//a")) * "h"
    folder = state_dir(config, {"HOME": longest})
    assert len(bytes(folder / "control.sock")) == 100
    with pytest.raises(ConfigError, match="must be at most 87 bytes long, not 88"):
        state_dir(config, {"HOME": longest + "h"})
