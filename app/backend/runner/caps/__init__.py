"""Framework caps: PyTorch and TensorFlow are told to stay within the session's share of a GPU's memory.

An import hook. `BAI_TUI_GPU_FRACTIONS` holds, for each GPU in the order of `CUDA_VISIBLE_DEVICES`, the part of its
memory that the session may take. Nothing is imported, started or initialised before user code does it:

- The kernel installs the hook when it gets its session; every other Python of the session (batch commands, `!python`,
  `multiprocessing`) finds it by a `sitecustomize`, whose folder stands first on PYTHONPATH, and which goes on to the
  image's own. It takes half a millisecond.
- The hook looks at names of imports only. `torch` and two modules of `tensorflow` are found and executed by the
  machinery that finds them anyway; after that, and only then, `frameworks` is loaded.
- PyTorch (1.8 and later): the fraction is queued by `torch.cuda._lazy_call`, the list that `torch.cuda._lazy_init`
  works off right after it has initialised CUDA for user code; `torch.cuda.set_per_process_memory_fraction` by itself
  would initialise it. The list is the same from 1.8 to 2.13 (torch/cuda/__init__.py, torch/cuda/memory.py of both). The
  option `per_process_memory_fraction` of PYTORCH_CUDA_ALLOC_CONF (pull request 161035, 2025) is not used: older
  versions refuse options that they do not know, and it holds one number for all GPUs.
- TensorFlow 2: `Context._compute_gpu_options`, which is asked when the devices are initialised, answers with
  `per_process_gpu_memory_fraction` as well. TensorFlow 1 and `compat.v1`: every Session's config gets it.
- JAX reads XLA_PYTHON_CLIENT_MEM_FRACTION by itself.

Guarantee: the framework's own allocator refuses more (`torch.cuda.OutOfMemoryError`, `ResourceExhaustedError`). A lower
limit of the user's stays. Holes, all open to code that wants to:

- It holds for each process, not for their sum: two processes of a session take twice as much.
- Only what the allocator hands out counts: not the CUDA context (some hundred MiB a process), NCCL, cuDNN and cuBLAS
  workspaces, other libraries (CuPy, Numba), PYTORCH_NO_CUDA_MEMORY_CACHING=1, pluggable allocators
  (https://github.com/pytorch/pytorch/issues/58466).
- Code may set another fraction afterwards, unset the variable, or start Python with -I, -E or -S or with a PYTHONPATH
  that does not name the folder.
- TensorFlow knows one fraction for all GPUs (the smallest counts), and none where the user has made logical devices.
- It caps memory; computing time is not shared out by it.
"""
