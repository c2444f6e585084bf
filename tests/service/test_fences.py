"""What a request may say of how its session is fenced in."""

from __future__ import annotations

import pytest
from bai_tui.app.backend.ports import CreateRequest
from bai_tui.app.backend.service.admission import fences
from bai_tui.app.model.errors import BadRequest
from bai_tui.app.policies import SandboxSettings

OPEN = SandboxSettings()
STRICT = SandboxSettings(isolation="bwrap", network=False, wall_time_s=3600.0)


def asked(**options: object) -> CreateRequest:
    return CreateRequest(name=None, image="python", resource_opts=options)


def test_without_a_word_the_settings_hold() -> None:
    assert fences(asked(), OPEN) == {"wall_time_s": 0.0, "isolation": "", "no_network": False}
    assert fences(asked(), STRICT) == {"wall_time_s": 3600.0, "isolation": "bwrap", "no_network": True}


def test_more_may_be_asked_for() -> None:
    more = asked(wall_time="10m", isolation="bwrap", network="false")
    assert fences(more, OPEN) == {"wall_time_s": 600.0, "isolation": "bwrap", "no_network": True}
    assert fences(more, STRICT) == {"wall_time_s": 600.0, "isolation": "bwrap", "no_network": True}


def test_a_container_can_be_without_network_by_itself() -> None:
    wanted = {"wall_time_s": 0.0, "isolation": "", "no_network": True}
    assert fences(asked(network="false"), OPEN, contained=True) == wanted


@pytest.mark.parametrize(
    ("options", "settings", "says"),
    [
        ({"wall_time": "2h"}, STRICT, "sessions end after 3600 s here"),
        ({"wall_time": "0"}, STRICT, "sessions end after 3600 s here"),
        ({"wall_time": "soon"}, OPEN, "resource_opts.wall_time"),
        ({"isolation": "none"}, STRICT, "sessions are isolated here"),
        ({"isolation": "docker"}, OPEN, "write one of none, bwrap"),
        ({"network": "true"}, STRICT, "sessions have no network here"),
        ({"network": "false"}, OPEN, "add resource_opts.isolation=bwrap"),
        ({"network": "perhaps"}, OPEN, "write true or false"),
    ],
)
def test_less_is_refused_with_a_sentence(options: dict[str, object], settings: SandboxSettings, says: str) -> None:
    with pytest.raises(BadRequest) as caught:
        fences(asked(**options), settings)
    assert says in caught.value.message
