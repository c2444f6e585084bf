"""NVIDIA GPUs, asked through a thread of their own, so that a driver that hangs holds up nobody.

A call into the driver can neither be cancelled nor be given a time limit. So all of them are made by one thread; who
waits for an answer waits for a bounded time. A call that hangs costs that one thread, and no other call is made until
it has returned.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Final, TypeVar

from ..ports import GpuReading
from .nvml import FoundGpu, NoDriver, Nvml

log = logging.getLogger(__name__)
T = TypeVar("T")
START_TIMEOUT_S: Final = 5.0
"""How long the start of the daemon waits for a driver at the most. Without persistence mode a driver takes a second or
more for each GPU."""
READ_TIMEOUT_S: Final = 1.5
"""How long a reader waits for an answer."""
HANG_S: Final = 5.0
"""A driver that has not answered for so long hangs; until then what it said last stands."""
_CLOSE_TIMEOUT_S: Final = 1.0


class DriverThread:
    """Makes one call after the other in a daemon thread: it never keeps the process from ending."""

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call()

    def submit(self, call: Callable[[], T]) -> Future[T]:
        """Returns the future of a call; it cannot be cancelled."""
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()

        def make() -> None:
            try:
                result = call()
            except BaseException as exc:
                future.set_exception(exc)
            else:
                future.set_result(result)

        self._calls.put(make)
        return future

    def stop(self) -> None:
        """Ends the thread when it has made the calls before; returns at once."""
        self._calls.put(None)


class NvidiaGpus:
    """The NVIDIA GPUs that the daemon may give away."""

    def __init__(
        self,
        nvml: Nvml,
        *,
        start_timeout_s: float = START_TIMEOUT_S,
        read_timeout_s: float = READ_TIMEOUT_S,
        hang_s: float = HANG_S,
    ) -> None:
        self._nvml = nvml
        self._start_timeout_s = start_timeout_s
        self._read_timeout_s = read_timeout_s
        self._hang_s = hang_s
        self._gpus: Sequence[FoundGpu] = ()
        self._thread: DriverThread | None = None
        self._asked: Future[list[GpuReading]] | None = None
        self._asked_s = 0.0
        self._hangs = False
        self._last: list[GpuReading] | None = None

    def find(self, environ: Mapping[str, str]) -> Sequence[FoundGpu]:
        """Returns the GPUs, in the order of the PCI bus, that `environ` lets this process see.

        Blocks for `start_timeout_s` at the most. Without a driver there are none: said in the log, once, and no error.
        """
        thread = self._thread = DriverThread("bai-tui nvml")
        future = thread.submit(self._nvml.find)
        try:
            found, problems = future.result(self._start_timeout_s)
        except TimeoutError:
            future.add_done_callback(_answered_late)
            log.warning(
                "the NVIDIA driver does not answer within %g s: no GPU of it is offered; "
                "restart the backend when nvidia-smi answers",
                self._start_timeout_s,
            )
            return ()
        except NoDriver as exc:
            self._give_up()
            log.log(logging.INFO if exc.expected else logging.WARNING, "no NVIDIA GPU is offered: %s", exc)
            return ()
        except Exception:
            self._give_up()
            log.exception("no NVIDIA GPU is offered: the driver could not be asked")
            return ()
        for problem in problems:
            log.warning("%s", problem)
        self._gpus = self._offered(found, environ)
        if not self._gpus:
            thread.submit(self._nvml.close)
            self._give_up()
        return self._gpus

    def _offered(self, found: Sequence[FoundGpu], environ: Mapping[str, str]) -> list[FoundGpu]:
        visible = set(visible_indexes(found, environ.get("CUDA_VISIBLE_DEVICES")))
        offered = []
        for gpu in found:
            if gpu.index not in visible:
                log.info("%s (%s) is left out: CUDA_VISIBLE_DEVICES of the backend hides it", gpu.id, gpu.model)
            elif gpu.mig:
                log.warning(
                    "%s (%s) is left out: it is in MIG mode, where the hardware has cut it already; "
                    "`nvidia-smi -i %d -mig 0` takes that back",
                    gpu.id,
                    gpu.model,
                    gpu.index,
                )
            else:
                offered.append(gpu)
                log.info("%s is an %s with %d MiB, %s", gpu.id, gpu.model, gpu.mem_bytes >> 20, gpu.uuid)
        return offered

    async def read(self) -> list[GpuReading]:
        """Returns a reading of each GPU that `find` returned; never raises, waits `read_timeout_s` at the most.

        Callers at the same time get the same answer. Safe to cancel.
        """
        thread = self._thread
        if thread is None or not self._gpus:
            return []
        now = time.monotonic()
        asked = self._asked
        if asked is None or asked.done():
            asked = self._asked = thread.submit(lambda: self._nvml.read(self._gpus))
            self._asked_s = now
        if (wait_s := self._asked_s + self._read_timeout_s - now) > 0:
            answer = asyncio.wrap_future(asked)
            try:
                await asyncio.wait([answer], timeout=wait_s)
            finally:
                _let_go(answer)
        if not asked.done():
            asked_for_s = time.monotonic() - self._asked_s
            return self._last if self._last and asked_for_s < self._hang_s else self._hang(asked_for_s)
        if self._hangs:
            self._hangs = False
            log.info("the NVIDIA driver answers again")
        exc = asked.exception()
        if exc is not None:
            log.error("the GPUs could not be read", exc_info=exc)
            return self._absent(f"it cannot be read ({type(exc).__name__}: {exc})")
        self._last = asked.result()
        return self._last

    def _hang(self, for_s: float) -> list[GpuReading]:
        if not self._hangs:
            self._hangs = True
            log.warning("the NVIDIA driver does not answer: its GPUs count as lost until it does")
        return self._absent(f"the NVIDIA driver has not answered for {for_s:.0f} s")

    def _absent(self, problem: str) -> list[GpuReading]:
        return [
            GpuReading(device_id=gpu.id, present=False, problem=problem, mem_total_bytes=gpu.mem_bytes)
            for gpu in self._gpus
        ]

    async def close(self) -> None:
        """Lets go of the driver; one that hangs is left alone after a second."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        closed = asyncio.wrap_future(thread.submit(self._nvml.close))
        thread.stop()
        try:
            await asyncio.wait([closed], timeout=_CLOSE_TIMEOUT_S)
        finally:
            _let_go(closed)

    def _give_up(self) -> None:
        if self._thread is not None:
            self._thread.stop()
            self._thread = None


def visible_indexes(found: Sequence[FoundGpu], text: str | None) -> list[int]:
    """Returns the indexes of the GPUs that a CUDA_VISIBLE_DEVICES names; None = the variable is not set: all.

    As CUDA reads it (CUDA Programming Guide 5.2.1.1): indexes, or UUIDs of which the beginning is enough; the first
    that leads nowhere ends the list; empty = none. Indexes are taken in the order of the PCI bus, as nvidia-smi counts.
    """
    if text is None:
        return [gpu.index for gpu in found]
    seen: list[int] = []
    for word in text.split(","):
        name = word.strip()
        if name.isascii() and name.isdecimal():
            fits = [gpu.index for gpu in found if gpu.index == int(name)]
        else:
            fits = [gpu.index for gpu in found if name.startswith("GPU-") and gpu.uuid.startswith(name)]
        if len(fits) != 1:
            break
        if fits[0] not in seen:
            seen.append(fits[0])
    return seen


def _let_go(answer: asyncio.Future[T]) -> None:
    """Stops waiting for a call; the call itself goes on."""
    if not answer.done():
        answer.cancel()
    elif not answer.cancelled():
        answer.exception()  # looked at: else asyncio complains that nobody did


def _answered_late(future: Future[T]) -> None:
    if future.exception() is None:
        log.warning("the NVIDIA driver has answered now: restart the backend to offer its GPUs")
