"""How much a session takes: name, cpu, memory, a share of a GPU, how many at once, environment, storage folders.

Each amount has a box to type into and a slider beside it that shows what starts at once and what would wait.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal
from typing import Final

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Input, Label, Static

from ..app.model.errors import BadRequest
from ..app.model.sessions import check_session_name
from ..app.model.slots import CPU, CUDA_SHARES, MEM, parse_amount
from .glyphs import UNICODE, Glyphs
from .rows import Machine
from .slider import Slider
from .text import count, share, size

SLOTS: Final = {"cpu": CPU, "mem": MEM, "gpu": CUDA_SHARES}
LABELS: Final = {
    "name": "name", "cpu": "cpu", "mem": "mem", "gpu": "gpu share", "count": "how many", "env": "environment",
    "mounts": "folders",
}  # fmt: skip
PRESETS: Final = ("small", "quarter", "half", "all that is free")
GIB: Final = 1024**3
MIB: Final = 1024**2
MOST_AT_ONCE: Final = 64
_STEPS: Final = {"cpu": Decimal(1), "mem": Decimal(GIB // 2), "gpu": Decimal("0.05")}
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the form asks for."""

    name: str
    resources: dict[str, str]
    """Slot -> amount as typed."""
    count: int = 1
    environ: dict[str, str] = field(default_factory=dict)
    mounts: tuple[str, ...] = ()


class ResourceForm(Vertical):
    """Fields of a launch. An error stands below the fields and names the field.

    Args:
        mounts: the server has storage folders.
    """

    class Submitted(Message):
        """Enter was pressed in a field."""

    def __init__(
        self, machine: Machine, *, mounts: bool = False, glyphs: Glyphs = UNICODE, id: str | None = None
    ) -> None:
        super().__init__(id=id)
        self._machine = machine
        self._mounts = mounts
        self._glyphs = glyphs
        self._preset = -1
        self._least: Mapping[str, Decimal] = {}
        """Slot -> what the image needs at least."""
        self._usual: Mapping[str, Decimal] = {}
        """Slot -> what a session of the image gets that asks for nothing."""
        self._first = ""
        """What must be done with the image first, in words."""
        self._filled: dict[str, str] = {}
        """Amounts as they were filled in: what is still so nobody has typed."""
        self._refused = ""
        """Why the server did not launch what is asked for; empty = it was not asked, or something else was typed."""

    def compose(self) -> ComposeResult:
        yield from self._row("name")
        for name in SLOTS:
            with Horizontal(classes="field"):
                yield Label(LABELS[name], classes="field-label", markup=False)
                yield Input(id=f"field-{name}", compact=True, classes="field-amount")
                yield Slider(glyphs=self._glyphs, id=f"slider-{name}")
                yield Static("", id=f"hint-{name}", classes="field-hint", markup=False)
        yield from self._row("count")
        yield from self._row("env", "KEY=VALUE KEY2='two words'")
        if self._mounts:
            yield from self._row("mounts", "storage folders of the cluster, by name")
        yield Static("", id="form-state", markup=False)

    def _row(self, name: str, placeholder: str = "") -> ComposeResult:
        with Horizontal(classes="field"):
            yield Label(LABELS[name], classes="field-label", markup=False)
            yield Input(id=f"field-{name}", compact=True, placeholder=placeholder, classes="field-text")
            yield Static("", id=f"hint-{name}", classes="field-hint -rest", markup=False)

    def on_mount(self) -> None:
        self.query_one("#hint-count", Static).update("sessions at once")
        self._fill_defaults()
        self.set_machine(self._machine)

    def set_image(self, least: Mapping[str, Decimal], usual: Mapping[str, Decimal], first: str = "") -> None:
        """Takes what an image needs at least and gets where nothing is asked for; fills that in where nobody typed.

        Args:
            least: slot -> amount.
            usual: slot -> amount.
            first: what must be done before a session can start in it, in words; empty = nothing.
        """
        if (least, usual, first) != (self._least, self._usual, self._first):
            self._least, self._usual, self._first = least, usual, first
            self._fill_defaults()
            self._judge()

    def _fill_defaults(self) -> None:
        """Fills in what starts at once, but for what was typed."""
        values, before = self.defaults(), self._filled
        self._filled = values
        self.fill({name: text for name, text in values.items() if self._value(name) in ("", before.get(name, ""))})

    def defaults(self) -> dict[str, str]:
        """Returns what starts at once on a machine that is not full, with what the image needs."""
        free_cpu, free_mem = self._free("cpu"), self._free("mem")
        cpu = Decimal(1) if free_cpu is None or free_cpu >= 1 else max(Decimal(1), free_cpu)
        mem = GIB if free_mem is None or free_mem >= GIB else GIB // 2 if free_mem >= GIB // 2 else GIB // 4
        amounts = {"cpu": cpu, "mem": Decimal(mem), "gpu": Decimal(0)}
        for name, slot in SLOTS.items():
            amounts[name] = max(self._usual.get(slot) or amounts[name], self._least.get(slot, Decimal(0)))
        return {name: _typed(name, amount) for name, amount in amounts.items()} | {
            "count": "1", "env": "", "mounts": ""
        }  # fmt: skip

    def fill(self, values: Mapping[str, str]) -> None:
        """Writes values into the fields."""
        for name, value in values.items():
            if name != "mounts" or self._mounts:
                self._input(name).value = value

    def show(
        self, resources: Mapping[str, str], environ: Mapping[str, str], mounts: Sequence[str], number: int
    ) -> None:
        """Shows what an earlier launch asked for."""
        amounts = {name: resources.get(slot, resources.get(name, "0")) for name, slot in SLOTS.items()}
        text = " ".join(f"{key}={shlex.quote(value)}" for key, value in environ.items())
        self.fill({**amounts, "count": str(number), "env": text, "mounts": " ".join(mounts)})

    def next_preset(self) -> str:
        """Fills in the next preset and returns its name."""
        self._preset = (self._preset + 1) % len(PRESETS)
        name = PRESETS[self._preset]
        self.fill(self._preset_values(name))
        return name

    def _preset_values(self, name: str) -> dict[str, str]:
        if name == "small":
            return {key: value for key, value in self.defaults().items() if key in SLOTS}
        values = {}
        for slot in SLOTS:
            total, free = self._total(slot), self._free(slot)
            if total is None or free is None:
                continue
            amount = free if name == PRESETS[-1] else total / (4 if name == "quarter" else 2)
            if slot == "gpu" and amount > self._largest_gpu() and name == PRESETS[-1]:
                amount = self._largest_gpu()
            values[slot] = _typed(slot, amount)
        return values

    def set_machine(self, machine: Machine) -> None:
        """Shows what is free now."""
        self._machine = machine
        for name, slot in SLOTS.items():
            total, free = self._total(name), self._free(name)
            if name == "gpu" and machine.gpus:
                free = self._largest_gpu()
                total = max((gpu.capacity for gpu in machine.gpus if not gpu.lost), default=Decimal(0))
            self.query_one(f"#slider-{name}", Slider).set_range(
                total or Decimal(0), (total if free is None else free) or Decimal(0), _STEPS[name]
            )
            write = size if slot == MEM else share if slot == CUDA_SHARES else count
            hint = "" if free is None else f"{write(free)} free"
            if name == "gpu" and machine.gpus:
                hint += " on one"
            elif name == "gpu" and not total:
                hint = "no GPU here"
            self.query_one(f"#hint-{name}", Static).update(hint)
        self._input("gpu").disabled = not self._total("gpu") and bool(machine.gauges)
        self._judge()

    @property
    def values(self) -> dict[str, str]:
        """The fields as typed."""
        names = [name for name in LABELS if name != "mounts" or self._mounts]
        return {name: self._input(name).value.strip() for name in names}

    def set_name_hint(self, name: str) -> None:
        """Shows the name that is taken when the field stays empty."""
        self._input("name").placeholder = name

    def check(self) -> Wanted | None:
        """Returns what is asked for, or None after telling what is wrong."""
        values = self.values
        try:
            name = values["name"] or self._input("name").placeholder
            at = "name"
            check_session_name(name)
            slots = {}
            for at, slot in SLOTS.items():
                text = values[at] or "0"
                if parse_amount(slot, text) > 0:
                    slots[slot] = text
            at = "count"
            number = _count(values["count"])
            at = "env"
            environ = parse_environ(values["env"])
        except BadRequest as error:
            self.tell(error.message, error=True)
            self._input(at).focus()
            return None
        return Wanted(name, slots, number, environ, tuple(values.get("mounts", "").replace(",", " ").split()))

    def refuse(self, reason: str) -> None:
        """Says why the server did not launch what was asked for, until something else is typed; empty = no longer."""
        self._refused = reason
        self._judge()

    def tell(self, text: str, *, error: bool = False) -> None:
        """Says something below the fields."""
        state = self.query_one("#form-state", Static)
        state.update(text)
        state.set_class(error, "-error")

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        self._refused = ""
        self._judge()

    @on(Slider.Changed)
    def _slid(self, event: Slider.Changed) -> None:
        event.stop()
        name = (event.slider.id or "").removeprefix("slider-")
        self._input(name).value = _typed(name, event.value)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Submitted())

    def _value(self, name: str) -> str:
        return self._input(name).value if name != "mounts" or self._mounts else ""

    def _input(self, name: str) -> Input:
        return self.query_one(f"#field-{name}", Input)

    def _total(self, name: str) -> Decimal | None:
        if name == "gpu" and self._machine.gpus:
            return sum((gpu.capacity for gpu in self._machine.gpus if not gpu.lost), Decimal(0))
        gauge = next((gauge for gauge in self._machine.gauges if gauge.label in (name, SLOTS[name])), None)
        return None if gauge is None else gauge.total

    def _free(self, name: str) -> Decimal | None:
        if name == "gpu" and self._machine.gpus:
            return sum((gpu.capacity - gpu.used for gpu in self._machine.gpus if not gpu.lost), Decimal(0))
        gauge = next((gauge for gauge in self._machine.gauges if gauge.label in (name, SLOTS[name])), None)
        return None if gauge is None else gauge.total - gauge.used

    def _largest_gpu(self) -> Decimal:
        return max((gpu.capacity - gpu.used for gpu in self._machine.gpus if not gpu.lost), default=Decimal(0))

    def _judge(self) -> None:
        """Says whether what is typed starts at once, or what it waits for; moves the sliders along."""
        values = self.values
        try:
            number = _count(values["count"])
            amounts = {name: parse_amount(slot, values[name] or "0") for name, slot in SLOTS.items()}
            parse_environ(values["env"])
        except BadRequest as error:
            self.tell(error.message, error=True)
            return
        waits, never, few = [], [], []
        for name, amount in amounts.items():
            self.query_one(f"#slider-{name}", Slider).show_value(amount)
            one_gpu = name == "gpu" and amount <= 1 and bool(self._machine.gpus) and number == 1
            free = self._largest_gpu() if one_gpu else self._free(name)
            total = self._total(name)
            least = self._least.get(SLOTS[name], Decimal(0))
            if amount < least:
                few.append(f"{_typed(name, least)} {LABELS[name]}")
            if total is not None and amount > total:
                never.append(name)
            elif free is not None and amount * number > free:
                waits.append(name)
        if self._refused:
            self.tell(self._refused, error=True)
        elif few:
            self.tell(f"the image needs at least {' and '.join(few)}", error=True)
        elif never:
            self.tell(f"more {' and '.join(never)} than there is here", error=True)
        elif waits:
            self.tell(f"will wait for {', '.join(waits)}" + (" (not all start at once)" if number > 1 else ""))
        elif self._first:
            self.tell(self._first)
        else:
            self.tell("starts at once" if number == 1 else f"all {number} start at once")


def parse_environ(text: str) -> dict[str, str]:
    """Returns the variables of `KEY=VALUE KEY2='two words'`.

    Raises:
        BadRequest: it cannot be read so.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise BadRequest(f"environment: {str(error).lower()}: write KEY=VALUE, with quotes around blanks") from None
    found = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not _VARIABLE.match(key):
            raise BadRequest(f"environment: {word!r} is no KEY=VALUE")
        found[key] = value
    return found


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:4]) <= MOST_AT_ONCE and len(text) <= 4):
        raise BadRequest(f"how many: {text or 'nothing'} is no number from 1 to {MOST_AT_ONCE}")
    return int(text)


def _typed(name: str, amount: Decimal) -> str:
    """Returns an amount as one would type it."""
    if name == "mem":
        mib = int(amount // MIB)
        return f"{mib // 1024}g" if mib % 1024 == 0 else f"{mib}m"
    step = Decimal("0.01") if name == "gpu" else Decimal(1)
    return format(amount.quantize(step, ROUND_DOWN).normalize(), "f")
