"""Mock GPUs: devices that can be promised and shown, and compute nothing. Always labelled as mock."""

from __future__ import annotations

import re
import uuid
from decimal import Decimal

from ...model.errors import ConfigError, InvalidAmount
from ...model.slots import CUDA_SHARES, MEM, parse_amount
from ..ports import Device

_SPEC = re.compile(r"([0-9]{1,4})(?::(.+))?")
_MOST = 1024
_DEFAULT_MEMORY = "16g"
_NAMESPACE = uuid.UUID("6d0c1f3e-8f0b-5d0c-9f55-3b1f6f0c2a77")


def mock_gpus(spec: str) -> list[Device]:
    """Returns the mock GPUs of `N` or `N:MEMORY` (memory of each, 16g by default); none for an empty spec.

    Their UUIDs are the same at every start, so that a session keeps its device over a restart.

    Raises:
        ConfigError: another form, or more than 1024.
    """
    text = spec.strip()
    if not text:
        return []
    match = _SPEC.fullmatch(text)
    if match is None:
        raise ConfigError(f"mock GPUs cannot be {spec!r}: write N or N:MEMORY, for example 2 or 2:16g")
    if int(match[1]) > _MOST:
        raise ConfigError(f"mock GPUs cannot be {spec!r}: {_MOST} are the most")
    try:
        memory = int(parse_amount(MEM, match[2] or _DEFAULT_MEMORY))
    except InvalidAmount as exc:
        raise ConfigError(f"mock GPUs cannot be {spec!r}: {exc}") from None
    if not memory:
        raise ConfigError(f"mock GPUs cannot be {spec!r}: give each some memory, for example {match[1]}:16g")
    return [
        Device(
            id=f"gpu{number}",
            slot=CUDA_SHARES,
            capacity=Decimal(1),
            uuid=str(uuid.uuid5(_NAMESPACE, f"mock-gpu-{number}")),
            model=f"Mock GPU {number}",
            mem_bytes=memory,
            kind="mock",
        )
        for number in range(int(match[1]))
    ]
