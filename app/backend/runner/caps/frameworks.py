"""What is done to a framework that user code has imported. Loaded only then.

Nothing here may raise into the framework: a cap that cannot be set is told, and the user's program goes on.
"""

import functools
import os
from typing import Any, List

from .finder import FRACTIONS, VISIBLE, tell


def fractions() -> List[float]:
    """Returns the parts of the memory of the GPUs that are visible now.

    Of a GPU that was not visible at launch nothing is known: the smallest part holds for it.

    Raises:
        ValueError: the variable does not hold numbers between 0 and 1.
    """
    given = [float(text) for text in os.environ.get(FRACTIONS, "").split(",") if text.strip()]
    if not given or not all(0 < fraction <= 1 for fraction in given):
        raise ValueError("%s=%r holds no fractions" % (FRACTIONS, os.environ.get(FRACTIONS)))
    launched, visible = os.environ.get(VISIBLE), os.environ.get("CUDA_VISIBLE_DEVICES", "")
    if launched is None or visible == launched:
        return given
    names = launched.split(",")
    return [given[names.index(name)] if name in names[: len(given)] else min(given) for name in visible.split(",")]


def cap_torch(torch: Any) -> None:
    """Queues the fractions for the moment at which user code has CUDA initialised."""
    torch.cuda._lazy_call(lambda: _cap_torch_devices(torch))


def _cap_torch_devices(torch: Any) -> None:
    try:
        cuda = torch.cuda
        parts = fractions()
        parts += [min(parts)] * (cuda.device_count() - len(parts))
        if min(parts) < 1 and not hasattr(cuda, "set_per_process_memory_fraction"):
            raise RuntimeError("version %s cannot limit itself; 1.8 and later can" % torch.__version__)
        held = getattr(cuda, "get_per_process_memory_fraction", None)  # since 2.8
        for index in range(cuda.device_count()):
            # PYTORCH_CUDA_ALLOC_CONF may have set a lower one
            if parts[index] < 1 and (held is None or held(index) > parts[index]):
                cuda.set_per_process_memory_fraction(parts[index], index)
    except Exception as exc:
        tell(exc, "torch")


def cap_context(module: Any) -> None:
    """Has TensorFlow's context ask for its part when it initialises the devices, which user code begins."""
    context = module.Context
    compute = getattr(context, "_compute_gpu_options", None)
    if compute is None:  # before 1.15 only sessions know of GPU options
        return

    @functools.wraps(compute)
    def _compute_gpu_options(self: Any) -> Any:
        options = compute(self)
        config = getattr(self, "_config", None)
        _cap_options(options, config.gpu_options if config is not None else options)
        return options

    context._compute_gpu_options = _compute_gpu_options


def cap_session(module: Any) -> None:
    """Has every Session of TensorFlow 1, or `compat.v1`, ask for its part."""
    base, kind = module.BaseSession, module.config_pb2.ConfigProto
    original = base.__init__
    context = getattr(getattr(module, "context", None), "Context", None)

    @functools.wraps(original)
    def __init__(self: Any, target: Any = "", graph: Any = None, config: Any = None) -> None:
        if config is None and not hasattr(context, "_compute_gpu_options"):
            config = kind()
        if isinstance(config, kind):
            wanted = config
            config = kind()
            config.CopyFrom(wanted)
            _cap_options(config.gpu_options, wanted.gpu_options)
        original(self, target, graph, config)

    base.__init__ = __init__


def _cap_options(options: Any, wanted: Any) -> None:
    """Sets the fraction, unless the user has `wanted` less, or has cut the GPU into logical devices."""
    try:
        if len(getattr(getattr(options, "experimental", None), "virtual_devices", ())):
            return  # TensorFlow refuses both at once
        part, own = min(fractions()), wanted.per_process_gpu_memory_fraction
        if part < 1:
            options.per_process_gpu_memory_fraction = min(part, own) if own > 0 else part
    except Exception as exc:
        tell(exc, "tensorflow")
