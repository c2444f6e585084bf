from __future__ import annotations

import pytest
from bai_tui.app.model import errors


def tree(root: type[errors.BaiTuiError]) -> list[type[errors.BaiTuiError]]:
    return [root, *(child for sub in root.__subclasses__() for child in tree(sub))]


@pytest.mark.parametrize("kind", [one for one in tree(errors.BaiTuiError) if one.__module__ == errors.__name__])
def test_each_says_what_the_wire_needs(kind: type[errors.BaiTuiError]) -> None:
    assert 400 <= kind.status < 600
    assert "/" not in kind.problem
    assert kind.title.endswith(".")
    assert kind.error_code.count("_") >= 2


def test_the_drawing_shows_every_class() -> None:
    drawn = errors.__doc__ or ""
    for kind in tree(errors.BaiTuiError):
        if kind.__module__ == errors.__name__:
            assert kind.__name__ in drawn


def test_a_remote_error_takes_the_problem_apart() -> None:
    error = errors.RemoteError("no", http_status=404, problem_type=errors.PROBLEM_BASE + "object-not-found")
    assert error.problem_type == "object-not-found"
    assert errors.Unreachable("gone").http_status == 0
