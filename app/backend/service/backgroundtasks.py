"""Tasks of users that go on without them: who began them, where they stand, how they ended."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from ...model.errors import BaiTuiError, NotFound, QuotaExceeded
from ..ports import Keypair, Progress, TaskNews, Tell
from .tasks import Tasks
from .throttle import Throttle

log = logging.getLogger(__name__)
KEPT_S: Final = 600.0
"""How long a task is known after its end: who had lost the connection comes back and hears of it."""
_MOST_KEPT: Final = 256
MOST_AT_ONCE: Final = 16
"""Of one user: each may download gigabytes."""
TOLD_EVERY_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a task says at its end."""

    message: str
    errors: tuple[str, ...] = ()
    """What could not be done; the rest was."""


Work = Callable[[Tell], Awaitable[Outcome]]


@dataclass(slots=True, eq=False)
class _Task:
    id: str
    owner: str
    """Access key."""
    key: Sequence[object]
    news: TaskNews
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Of the newest news; another one for each."""
    running: asyncio.Task[None] | None = None
    ended_s: float = 0.0


class BackgroundTasks:
    """The tasks that are under way, and those that ended lately."""

    def __init__(self, tasks: Tasks, steady: Callable[[], float] = time.monotonic) -> None:
        self._tasks = tasks
        self._steady = steady
        self._known: dict[str, _Task] = {}

    def start(self, caller: Keypair, key: Sequence[object], work: Work) -> str:
        """Begins a task, or finds the caller's own of that key that is under way; returns its id.

        Raises:
            QuotaExceeded: so many of a user's who is no administrator are under way already.
        """
        self._forget_old()
        under_way = [one for one in self._known.values() if one.owner == caller.access_key and not one.news.is_over]
        for task in under_way:
            if task.key == key:
                return task.id
        if len(under_way) >= MOST_AT_ONCE and not caller.is_admin:
            raise QuotaExceeded(
                f"{len(under_way)} background tasks of yours are under way, and a user has no more at a time: wait for "
                "the end of one, or cancel it"
            )
        task_id = str(uuid.uuid4())
        task = _Task(task_id, caller.access_key, key, TaskNews(task_id, "started"))
        self._known[task_id] = task
        task.running = self._tasks.spawn(self._run(task, work), name=f"background task {task_id}")
        return task_id

    async def _run(self, task: _Task, work: Work) -> None:
        told: Throttle[TaskNews] = Throttle(TOLD_EVERY_S, lambda news: self._tell(task, news))

        def tell(progress: Progress) -> None:
            told.put(TaskNews(task.id, "updated", progress.current, progress.total, progress.message))

        end = _cancelled(task)
        try:
            outcome = await work(tell)
            state = "partial_success" if outcome.errors else "done"
            total = max(task.news.total, 1.0)
            end = TaskNews(task.id, state, total, total, outcome.message, outcome.errors)
        except BaiTuiError as exc:
            end = TaskNews(task.id, "failed", message=exc.message)
        except Exception as exc:
            log.exception("the background task %s failed", task.id)
            end = TaskNews(task.id, "failed", message=f"the backend failed at it ({type(exc).__name__}): see its log")
        finally:
            told.close()
            task.ended_s = self._steady()
            self._tell(task, end)

    @staticmethod
    def _tell(task: _Task, news: TaskNews) -> None:
        task.news = news
        task.changed.set()
        task.changed = asyncio.Event()

    def news(self, caller: Keypair, task_id: str) -> AsyncGenerator[TaskNews]:
        """Yields where a task stands, then what comes; see `ImageService.task_news`."""
        return self._follow(self._find(caller, task_id))

    @staticmethod
    async def _follow(task: _Task) -> AsyncGenerator[TaskNews]:
        told: TaskNews | None = None
        while told is None or not told.is_over:
            if task.news is told:
                await task.changed.wait()
            told = task.news
            yield told

    async def cancel(self, caller: Keypair, task_id: str) -> None:
        """Stops a task; returns when it has ended."""
        task = self._find(caller, task_id)
        if task.running is not None and not task.running.done():
            task.running.cancel()
            await asyncio.wait([task.running])
        if not task.news.is_over:  # it had not even begun, and says nothing of itself
            task.ended_s = self._steady()
            self._tell(task, _cancelled(task))

    def _find(self, caller: Keypair, task_id: str) -> _Task:
        self._forget_old()
        task = self._known.get(task_id)
        if task is None or not (caller.is_admin or task.owner == caller.access_key):
            raise NotFound(
                f"there is no background task {task_id!r}: it ended more than {KEPT_S / 60:.0f} minutes ago, or with "
                "the backend that did it"
            )
        return task

    def _forget_old(self) -> None:
        over = [task for task in self._known.values() if task.news.is_over]
        for place, task in enumerate(over):
            if self._steady() - task.ended_s > KEPT_S or place < len(over) - _MOST_KEPT:
                del self._known[task.id]


def _cancelled(task: _Task) -> TaskNews:
    return TaskNews(task.id, "cancelled", message="it was cancelled")
