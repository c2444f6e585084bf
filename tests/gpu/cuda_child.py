"""Uses a GPU through the driver's C interface, without any CUDA package. Runs in a process of its own; prints JSON.

    cuda_child.py [MIB ...]

Lists the GPUs that CUDA shows to this process. Then, for each MIB, allocates so much on the GPU of that place
(0 = none), and waits for the end of its standard input, so that whoever started it can look from outside.
"""

from __future__ import annotations

import ctypes
import json
import sys
import uuid

NO_DEVICE = 100
"""CUDA_ERROR_NO_DEVICE."""


def main(sizes: list[int], *, wait: bool = True) -> None:
    cuda = ctypes.CDLL("libcuda.so.1")
    code = cuda.cuInit(0)
    if code == NO_DEVICE:
        say({"gpus": [], "codes": []})
        return
    check(code)
    count = ctypes.c_int()
    check(cuda.cuDeviceGetCount(ctypes.byref(count)))
    gpus, codes = [], []
    for number in range(count.value):
        raw = (ctypes.c_ubyte * 16)()
        check(cuda.cuDeviceGetUuid(ctypes.byref(raw), number))
        gpus.append(f"GPU-{uuid.UUID(bytes=bytes(raw))}")
    for number, size_mib in enumerate(sizes):
        if not size_mib:
            continue
        context, memory = ctypes.c_void_p(), ctypes.c_uint64()
        check(cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), number))
        check(cuda.cuCtxSetCurrent(context))
        codes.append(cuda.cuMemAlloc_v2(ctypes.byref(memory), ctypes.c_size_t(size_mib << 20)))
    say({"gpus": gpus, "codes": codes})
    if sizes and wait:
        sys.stdin.read()


def check(code: int) -> None:
    if code:
        say({"error": code})
        sys.exit(1)


def say(answer: object) -> None:
    print(json.dumps(answer), flush=True)  # noqa: T201


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]])
