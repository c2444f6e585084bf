"""The same done to several, one after the other: what fails for one does not keep it from the next."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from ..model.errors import BaiTuiError, Unreachable
from . import exit_codes
from .talk import emit, say

if TYPE_CHECKING:
    from ..client.api import ApiClient


def each(
    names: Sequence[str], action: Callable[[ApiClient, str], Coroutine[Any, Any, None]], *, alone: bool = False
) -> int:
    """Does `action` to everyone that is named and prints the names of those that it was done to.

    Args:
        alone: the only one that is named ends with the status of its error.

    Returns:
        1 when one failed.
    """
    from .endpoint import with_client

    async def work(client: ApiClient) -> int:
        failed = 0
        for name in dict.fromkeys(names):
            try:
                await action(client, name)
            except Unreachable:
                raise
            except BaiTuiError as exc:
                if alone and len(names) == 1:
                    raise
                say(f"{name}: {exc.message}")
                failed += 1
            else:
                emit(f"{name}\n")
        return exit_codes.FAILED if failed else exit_codes.OK

    return with_client(work)
