"""The read-only switch: while it is on, nothing that starts, changes or ends a session leaves this program.

Keys are refused where they are pressed (`Action.changes`); what gets past them, such as a form that was open already,
is refused here, at the client, so that no pane can forget to ask.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, cast

from ..model.errors import BaiTuiError

if TYPE_CHECKING:
    from ..client.api import ApiClient
    from ..model.endpoint import Endpoint

WORD: Final = "read-only"
SENTENCE: Final = "read-only: nothing is started, changed or ended"
CHANGES: Final = frozenset(
    (
        "create_session", "terminate", "extend", "prioritize", "restart", "rename", "interrupt", "answer", "upload",
        "delete_files", "execute", "pty", "add_keypair", "switch_keypair", "delete_keypair", "rotate_keypair",
        "prepare_image", "cancel_task", "remove_image", "alias_image", "dealias_image", "rescan_images",
    )
)  # fmt: skip
"""Methods of `ApiClient` that start, change or end something; a test holds every other one to be a question."""


class ReadOnly(BaiTuiError):
    """Something was to be changed while the switch was on."""


class Switch:
    """The switch of one workbench.

    Args:
        on: How it stands at first.
    """

    def __init__(self, on: bool) -> None:
        self.on = on

    def refuse(self) -> str | None:
        """Returns why nothing may be changed, in a word; None when everything may."""
        return WORD if self.on else None

    def guard(self, connect: Callable[[Endpoint], ApiClient]) -> Callable[[Endpoint], ApiClient]:
        """Returns `connect` with clients that ask this switch before they change anything."""
        return lambda endpoint: cast("ApiClient", _Guarded(connect(endpoint), self))


class _Guarded:
    """A client that refuses what changes something while the switch is on; all else is the client's."""

    def __init__(self, client: ApiClient, switch: Switch) -> None:
        self._client = client
        self._switch = switch

    def __getattr__(self, name: str) -> Any:
        if name in CHANGES and self._switch.on:
            raise ReadOnly(SENTENCE)
        return getattr(self._client, name)

    async def __aenter__(self) -> _Guarded:
        await self._client.__aenter__()
        return self

    async def __aexit__(self, *told: Any) -> None:
        await self._client.__aexit__(*told)
