"""Ray placement groups with fractional GPUs: the peer of the scheduler core. Runs in a process of its own.

`python -m benchmarks.peers.ray_groups` is that process: it reads a count a line and answers with seconds.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from ..harness import Case

_GPUS = 1_000


class RayGroups:
    """A local Ray cluster that believes to have 1,000 GPUs. Blocking, but for its case."""

    def __init__(self) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="ray-"))
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> str | None:
        """Starts it; returns None, or in one line why it cannot be run here."""
        environ = {**os.environ, "HOME": str(self._home), "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.peers.ray_groups", str(self._home)],
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        for line in self._process.stdout:  # Ray writes there as well
            if line.startswith("ready"):
                return None
            if line.startswith("no: "):
                return line.removeprefix("no: ").strip()
        return "its process ended"

    def case(self, groups: int) -> Case:
        """Returns a case that makes so many placement groups; its value is microseconds for each."""

        async def measure() -> float:
            import asyncio

            return await asyncio.to_thread(self._ask, groups) / groups * 1e6

        return measure

    def _ask(self, groups: int) -> float:
        assert self._process is not None and self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{groups}\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith("took "):
                return float(line.removeprefix("took "))
        raise RuntimeError("Ray ended in the middle of a measurement")

    def end(self) -> None:
        """Ends it with all of its processes."""
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        shutil.rmtree(self._home, ignore_errors=True)


def _serve(folder: str) -> None:
    import time

    try:
        import ray
        from ray.util.placement_group import placement_group, remove_placement_group

        ray.init(
            num_cpus=2,
            num_gpus=_GPUS,
            include_dashboard=False,
            log_to_driver=False,
            object_store_memory=100 << 20,
            _temp_dir=folder,
        )
    except Exception as exc:
        print(f"no: {type(exc).__name__}: {str(exc).splitlines()[0] if str(exc) else ''}", flush=True)
        return
    print("ready", flush=True)
    for line in sys.stdin:
        count = int(line)
        begun_s = time.perf_counter()
        groups = [placement_group([{"GPU": (number % 9 + 1) / 10}], strategy="PACK") for number in range(count)]
        for group in groups:
            if not group.wait(60):
                raise RuntimeError("a placement group was not made within a minute")
        print(f"took {time.perf_counter() - begun_s}", flush=True)
        for group in groups:
            remove_placement_group(group)
        time.sleep(1)  # the removal goes on behind the call
    ray.shutdown()


if __name__ == "__main__":
    _serve(sys.argv[1])
