"""How much a session takes: name, cpu, memory, a share of a GPU, and whether that starts at once."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Input, Label, Static

from ..app.model.errors import BadRequest
from ..app.model.sessions import check_session_name
from ..app.model.slots import CPU, CUDA_SHARES, MEM, parse_amount
from .rows import Machine
from .text import count, share, size

FIELDS: Final = (("name", "name"), ("cpu", "cpu"), ("mem", "mem"), ("gpu", "gpu share"))
SLOTS: Final = {"cpu": CPU, "mem": MEM, "gpu": CUDA_SHARES}
GIB: Final = 1024**3


class ResourceForm(Vertical):
    """Fields of a launch. An error stands below the fields and names the field."""

    class Submitted(Message):
        """Enter was pressed in a field."""

    def __init__(self, machine: Machine, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._machine = machine

    def compose(self) -> ComposeResult:
        for field, label in FIELDS:
            with Horizontal(classes="field"):
                yield Label(label, classes="field-label", markup=False)
                yield Input(id=f"field-{field}", compact=True)
                yield Static("", id=f"hint-{field}", classes="field-hint", markup=False)
        yield Static("", id="form-state", markup=False)

    def on_mount(self) -> None:
        for field, value in self.defaults().items():
            self._input(field).value = value
        self.set_machine(self._machine)

    def defaults(self) -> dict[str, str]:
        """Returns what starts at once on a machine that is not full."""
        free_cpu, free_mem = self._free(CPU), self._free(MEM)
        cpu = Decimal(1) if free_cpu is None or free_cpu >= 1 else max(Decimal(1), free_cpu)
        mem = "1g" if free_mem is None or free_mem >= GIB else "512m" if free_mem >= GIB // 2 else "256m"
        return {"cpu": count(cpu), "mem": mem, "gpu": "0"}

    def set_machine(self, machine: Machine) -> None:
        """Shows what is free now."""
        self._machine = machine
        for field, slot in SLOTS.items():
            free = self._free(slot)
            write = size if slot == MEM else share if slot == CUDA_SHARES else count
            hint = "" if free is None else f"{write(free)} free"
            if field == "gpu" and not machine.gpus:
                hint = "no GPU here"
            elif field == "gpu":
                hint = f"{share(self._largest_gpu())} free on one GPU"
            self.query_one(f"#hint-{field}", Static).update(hint)
        self._input("gpu").disabled = not machine.gpus and bool(machine.gauges)
        self._judge()

    @property
    def values(self) -> dict[str, str]:
        """The fields as typed."""
        return {field: self._input(field).value.strip() for field, _ in FIELDS}

    def set_name_hint(self, name: str) -> None:
        """Shows the name that is taken when the field stays empty."""
        self._input("name").placeholder = name

    def check(self) -> tuple[str, dict[str, str]] | None:
        """Returns (name, slots), or None after telling what is wrong."""
        values = self.values
        try:
            name = values["name"] or self._input("name").placeholder
            field = "name"
            check_session_name(name)
            slots = {}
            for field, slot in SLOTS.items():
                text = values[field] or "0"
                if parse_amount(slot, text) > 0:
                    slots[slot] = text
        except BadRequest as error:
            self.tell(error.message, error=True)
            self._input(field).focus()
            return None
        return name, slots

    def tell(self, text: str, *, error: bool = False) -> None:
        """Says something below the fields."""
        state = self.query_one("#form-state", Static)
        state.update(text)
        state.set_class(error, "-error")

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        self._judge()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Submitted())

    def _input(self, field: str) -> Input:
        return self.query_one(f"#field-{field}", Input)

    def _free(self, slot: str) -> Decimal | None:
        for gauge in self._machine.gauges:
            if gauge.label == slot:
                return gauge.total - gauge.used
        if slot == CUDA_SHARES and self._machine.gpus:
            return sum((gpu.capacity - gpu.used for gpu in self._machine.gpus), Decimal(0))
        return None

    def _largest_gpu(self) -> Decimal:
        return max((gpu.capacity - gpu.used for gpu in self._machine.gpus), default=Decimal(0))

    def _judge(self) -> None:
        """Says whether what is typed starts at once, or what it waits for."""
        waits = []
        for field, slot in SLOTS.items():
            try:
                amount = parse_amount(slot, self.values[field] or "0")
            except BadRequest as error:
                self.tell(error.message, error=True)
                return
            free = self._largest_gpu() if field == "gpu" and amount <= 1 and self._machine.gpus else self._free(slot)
            if free is not None and amount > free:
                waits.append(field)
        self.tell(f"will wait for {', '.join(waits)}" if waits else "starts at once")
