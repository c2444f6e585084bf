"""What was asked for with a session: each server tells it in a form of its own."""

from __future__ import annotations

from typing import Any

import pytest
from bai_tui.app.client.api import ApiClient
from bai_tui.app.model.errors import RemoteError

from .conftest import FakeServer

SID = "46f98ea2-63be-4987-bf8a-26eeb2d7c504"
SESSION = f"GET /session/{SID}"


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({"AA": "1"}, {"AA": "1"}),
        ('{"AA": "1"}', {"AA": "1"}),
        ("{'AA': '1', 'B': 'it\\'s \"so\"'}", {"AA": "1", "B": 'it\'s "so"'}),
        ("{'AA': open('x')}", {}),
        ("(" * 100_000, {}),
        (None, {}),
    ],
)
async def test_an_environment_is_read_as_json_and_as_python_writes_it(
    client: ApiClient, server: FakeServer, environ: Any, found: dict[str, str]
) -> None:
    server.answers[SESSION] = {"environ": environ, "mounts": []}
    assert (await client.about(SID)).environ == found


async def test_a_manager_tells_options_by_container_and_folders_by_graphql(
    client: ApiClient, server: FakeServer
) -> None:
    server.answers[SESSION] = {"environ": "{}", "resourceOpts": "{'main1': {'shmem': 67108864}}"}
    server.graphql = lambda query, variables: {"data": {"compute_session": {"mounts": ["data1"]}}}
    about = await client.about(SID)
    assert (about.resource_opts, about.mounts) == ({"shmem": "67108864"}, ("data1",))


async def test_a_manager_that_does_not_tell_of_folders(client: ApiClient, server: FakeServer) -> None:
    server.answers[SESSION] = {"environ": "{'AA': '1'}"}
    server.graphql = lambda query, variables: {"errors": [{"message": "Cannot query field 'mounts'"}]}
    about = await client.about(SID)
    assert (about.environ, about.mounts) == ({"AA": "1"}, ())
    server.answers.pop(SESSION)
    with pytest.raises(RemoteError):
        await client.about(SID)
