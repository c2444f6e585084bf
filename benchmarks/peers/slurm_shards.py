"""Slurm with `gres/shard` on this machine alone: a peer of the scheduler core. Needs root and Slurm's packages."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import stat
import subprocess
import tempfile
import time
from pathlib import Path

from ..harness import Case

_GPUS, _SHARDS = 8, 80
_PROGRAMS = ("slurmctld", "slurmd", "sbatch", "squeue", "sinfo")
_CONF = """\
ClusterName=bench
SlurmctldHost={host}
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/none
CredType=cred/none
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,sched_min_interval=1000,defer
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
GresTypes=gpu,shard
NodeName={host} CPUs={cpus} RealMemory=1000 Gres=gpu:{gpus},shard:{shards} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:64
"""


class SlurmShards:
    """A cluster of one node with mock GPUs that are cut in ten. Blocking, but for its case."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="slurm-"))
        self._environ = {**os.environ, "SLURM_CONF": str(self._folder / "slurm.conf")}
        self._daemons: list[subprocess.Popen[bytes]] = []

    def start(self) -> str | None:
        """Starts it; returns None, or in one line why it cannot be run here."""
        if missing := [name for name in _PROGRAMS if shutil.which(name) is None]:
            return f"there is no {missing[0]} (on Debian: apt install slurmctld slurmd slurm-client)"
        if os.geteuid() != 0:
            return "its node daemon needs root"
        host = socket.gethostname().split(".")[0]
        (self._folder / "state").mkdir()
        (self._folder / "spool").mkdir()
        for number in range(_GPUS):  # files that are devices, as Slurm wants for a GPU; nobody opens them
            os.mknod(self._folder / f"gpu{number}", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
        (self._folder / "gres.conf").write_text(
            f"Name=gpu File={self._folder}/gpu[0-{_GPUS - 1}]\nName=shard Count={_SHARDS}\n"
        )
        (self._folder / "slurm.conf").write_text(
            _CONF.format(
                host=host,
                folder=self._folder,
                ports=(_free_port(), _free_port()),
                cpus=len(os.sched_getaffinity(0)),
                gpus=_GPUS,
                shards=_SHARDS,
            )
        )
        for name in ("slurmctld", "slurmd"):
            with (self._folder / f"{name}.log").open("wb") as log:
                words = [name, "-D", "-f", self._environ["SLURM_CONF"]]
                self._daemons.append(subprocess.Popen(words, env=self._environ, stdout=log, stderr=log))
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if self._run("sinfo", "-h", "-o", "%t", check=False).strip() == "idle":
                return None
            time.sleep(0.2)
        return "its node did not come up within 20 s"

    def case(self, jobs: int) -> Case:
        """Returns a case that runs so many jobs of one shard; its value is microseconds for each."""

        async def measure() -> float:
            return await asyncio.to_thread(self._jobs, jobs) / jobs * 1e6

        return measure

    def _jobs(self, jobs: int) -> float:
        begun_s = time.perf_counter()
        words = ("--array", f"1-{jobs}", "--gres=shard:1", "-n1", "--mem=1", "-o", "/dev/null", "--wrap", "true")
        self._run("sbatch", *words)
        while self._run("squeue", "-h", "-r").strip():
            if time.perf_counter() - begun_s > 120:
                raise RuntimeError("Slurm's jobs did not end within two minutes")
            time.sleep(0.05)
        return time.perf_counter() - begun_s

    def _run(self, *words: str, check: bool = True) -> str:
        return subprocess.run(
            words, env=self._environ, cwd=self._folder, check=check, capture_output=True, text=True, timeout=60
        ).stdout

    def end(self) -> None:
        """Ends its daemons."""
        for daemon in reversed(self._daemons):
            daemon.terminate()
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
