"""A cell in a Jupyter kernel: when it has begun, when it is over, and what became of it.

Its end is told twice, by the answer to the request and by the state `idle` behind the last of its output. Either may be
missing, and they come by different ways: both are waited for, but not for ever.
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


class Cell:
    """A cell that is on its way."""

    def __init__(self, number: str, is_startup: bool = False) -> None:
        """Takes the id of its request, and whether it is none of the user's."""
        self.number = number
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
        return min(self._over_s, self._interrupt_s)

    def is_over(self, now: float) -> bool:
        """Whether nothing more is awaited."""
        return (self._replied and self._idle) or now >= self._over_s

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
                self._over_s = time.monotonic() + REPLY_S
            return False
        self.begun = True
        if self._replied and not self._idle:
            self._over_s = time.monotonic() + IDLE_S
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
        if not self._idle:
            self._over_s = time.monotonic() + IDLE_S
        status = content.get("status")
        if status == "ok":
            output.payloads(content)
        elif status != "error":
            self.exit_code = 1
            output.text("stderr", "the kernel has not run this cell\n")
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
