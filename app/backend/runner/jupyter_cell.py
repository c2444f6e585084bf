"""A cell in a Jupyter kernel: when it has begun, when it is over, and what became of it.

Its end is told twice, by the answer to the request and by the state `idle` behind the last of its output. Either may be
missing, and they come by different ways: both are waited for, but not for ever. Some kernels (Deno) say that they are
idle before they send the output: unless a kernel is known to keep the order, its cells end with a moment of silence.
"""

import time
from typing import Any, Dict, List

from .jupyter_output import JupyterOutput, error_text, exit_of
from .jupyter_wire import Message

NEVER = float("inf")
IDLE_S = 1.0
"""How long after its answer a cell goes on for which nothing has said that all its output is there."""
REPLY_S = 2.0
"""How long after the end of all output a cell waits for its answer."""
BEGIN_S = 1.0
"""How long an interrupt waits for its cell to begin."""
PROMPT_S = 0.01
PROMPT_LONGEST_S = 0.2
"""What was printed before a prompt comes by another way: it is given time to come first."""


class Silence:
    """How long a kernel is listened to when all seems to be said."""

    FIRST_S = 0.03
    LATE_S = 0.1
    LONGEST_S = 5.0
    """What still comes then is from something that the cell has left running."""

    def __init__(self) -> None:
        self.wait_s = self.FIRST_S

    def is_orderly(self) -> None:
        """Hears that the kernel is known to say that it is idle when it is."""
        self.wait_s = 0.0

    def is_late(self) -> None:
        """Hears that output has come behind the end."""
        if self.wait_s:
            self.wait_s = self.LATE_S


class Cell:
    """A cell that is on its way."""

    def __init__(self, number: str, silence: Silence, is_startup: bool = False) -> None:
        """Takes the id of its request, what is known of the kernel, and whether it is none of the user's."""
        self.number = number
        self._silence = silence
        self._all_said_s = NEVER
        """When the second of the two ends came."""
        self._quiet_s = NEVER
        """When it will have been silent for long enough after that."""
        self.is_startup = is_startup
        self.begun = False
        """Whether an interrupt would be heard as one of this cell."""
        self.exit_code = 0
        self.answers: List[str] = []
        """Input that was given and not asked for yet."""
        self._replied = False
        self._idle = False
        self._told = False
        """Its error was shown."""
        self._over_s = NEVER
        self._interrupt_s = NEVER

    @property
    def due_s(self) -> float:
        """Monotonic time at which something is to be looked at whatever comes."""
        return min(self._over_s, self._quiet_s, self._interrupt_s)

    def is_over(self, now: float) -> bool:
        """Whether nothing more is awaited."""
        return now >= min(self._over_s, self._quiet_s)

    def _end_is_near(self) -> None:
        """Notes until when the rest is awaited."""
        now = time.monotonic()
        if not (self._idle and self._replied):
            self._over_s = now + (REPLY_S if self._idle else IDLE_S)
            return
        self._all_said_s = min(self._all_said_s, now)
        self._over_s = self._all_said_s + self._silence.LONGEST_S
        self._quiet_s = now + self._silence.wait_s

    def interrupt(self) -> None:
        """Hears of an interrupt; `takes_interrupt` says when it is to be passed on."""
        # A kernel that has not begun with the cell would not hear it, or take it for something else.
        self._interrupt_s = min(self._interrupt_s, time.monotonic() + BEGIN_S)

    def takes_interrupt(self, now: float) -> bool:
        """Whether an interrupt is to be passed on now, which it is once."""
        if self._interrupt_s == NEVER or not (self.begun or now >= self._interrupt_s):
            return False
        self._interrupt_s = NEVER
        return True

    def take_news(self, message: Message) -> bool:
        """Hears a message of iopub that is about this cell; returns whether it is for the user's eyes."""
        kind, content = message["header"].get("msg_type"), message["content"]
        if kind == "status":
            if content.get("execution_state") == "idle":
                self._idle = True
                self._end_is_near()
            return False
        self.begun = True
        if self._idle:
            self._silence.is_late()
        if self._idle or self._replied:
            self._end_is_near()
        if kind == "error":
            self._told = True
            self.exit_code, is_error = exit_of(content)
            return is_error
        return True

    def take_reply(self, content: Dict[str, Any], output: JupyterOutput) -> None:
        """Hears the answer to the request, and shows what only that one tells."""
        if self._replied:
            return
        self._replied = self.begun = True
        self._end_is_near()
        status = content.get("status")
        if status == "ok":
            output.payloads(content)
        elif status != "error":
            self.exit_code = 1
            output.text("stderr", "the kernel has given up this cell\n")
        elif not self._told:
            self.exit_code, is_error = exit_of(content)
            if is_error:
                output.text("stderr", error_text(content))


class Prompt:
    """A cell that asks for input."""

    def __init__(self, message: Message) -> None:
        self.header = message["header"]
        text = message["content"].get("prompt")
        self.text = text if isinstance(text, str) else ""
        self.is_password = bool(message["content"].get("password"))
        self.shown = False
        now = time.monotonic()
        self._due_s = now + PROMPT_S
        self._last_s = now + PROMPT_LONGEST_S

    @property
    def due_s(self) -> float:
        """Monotonic time at which it is to be shown."""
        return NEVER if self.shown else self._due_s

    def wait(self) -> None:
        """Hears that output is still coming."""
        self._due_s = min(time.monotonic() + PROMPT_S, self._last_s)
