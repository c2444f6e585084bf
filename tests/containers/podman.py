"""A Podman of the tests' own: its storage, settings and socket in one folder, nothing of it left behind."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bai_tui.tests.waiting import until_here

ULIMITS = ("--ulimit", "nofile=1024:4096", "--ulimit", "nproc=4096:4096")
"""Podman's own are more than root may have on some machines."""
_REGISTRIES = """\
unqualified-search-registries = []
[[registry]]
location = "127.0.0.1"
insecure = true
"""
_SETTINGS = """\
[containers]
netns = "host"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
lock_type = "file"
tmp_dir = "{folder}/tmp"
[network]
network_config_dir = "{folder}/net"
"""


class NotUsable(Exception):
    """Podman cannot run containers on this machine; says why."""


@dataclass
class Podman:
    """One storage, and the service on it while that runs."""

    folder: Path
    driver: str
    service: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        return self.folder / "podman.sock"

    @property
    def environ(self) -> dict[str, str]:
        """Settings of this storage alone: nothing of the machine's or the user's."""
        return {
            **os.environ,
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder),
            "CONTAINERS_CONF": str(self.folder / "containers.conf"),
            "CONTAINERS_REGISTRIES_CONF": str(self.folder / "registries.conf"),
        }

    def command(self, *words: str) -> list[str]:
        places = ["--root", str(self.folder / "root"), "--runroot", str(self.folder / "run")]
        return ["podman", *places, "--storage-driver", self.driver, *words]

    def run(self, *words: str) -> str:
        """Runs a command of podman and returns what it says.

        Raises:
            NotUsable: it fails.
        """
        done = subprocess.run(self.command(*words), env=self.environ, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NotUsable(f"podman {words[0]} with the {self.driver} driver: {done.stderr.strip()[-400:]}")
        return done.stdout

    def start(self) -> None:
        """Starts the service; returns when it listens."""
        with (self.folder / "service.log").open("ab") as log:
            words = self.command("system", "service", "--time=0", f"unix://{self.socket}")
            # there: the monitor of a container notes a want of memory in the folder that it was started in
            self.service = subprocess.Popen(words, env=self.environ, cwd=self.folder, stdout=log, stderr=log)
        until_here(self.socket.is_socket)

    def stop(self) -> None:
        """Ends the service; its containers go on."""
        if self.service is not None:
            self.service.send_signal(signal.SIGCONT)
            self.service.kill()
            self.service.wait()
            self.service = None
        self.socket.unlink(missing_ok=True)

    def clear(self) -> None:
        """Ends everything and unmounts what is mounted."""
        self.stop()
        with contextlib.suppress(NotUsable):
            self.run("rm", "--all", "--force", "--time", "0")
        for place in sorted(_mounts_below(self.folder), reverse=True):
            subprocess.run(["umount", "--lazy", place], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def podman(folder: Path, archive: Path, reference: str) -> Iterator[Podman]:
    """Yields a Podman that has one image, its service running.

    Raises:
        NotUsable: it is not installed, or runs no container here.
    """
    if os.geteuid() or shutil.which("podman") is None:
        raise NotUsable("podman is not installed, or the tests do not run as root")
    folder.mkdir(mode=0o700)
    (folder / "registries.conf").write_text(_REGISTRIES)
    (folder / "containers.conf").write_text(_SETTINGS.format(folder=folder))
    made = _usable(folder, archive, reference)
    try:
        made.start()
        yield made
    finally:
        made.clear()


def _usable(folder: Path, archive: Path, reference: str) -> Podman:
    """Returns a Podman whose driver works, with the image loaded and tried."""
    reasons = []
    for driver in ("overlay", "vfs"):
        made = Podman(folder, driver)
        try:
            made.run("load", "--quiet", "--input", str(archive))
            made.run("run", "--rm", *ULIMITS, reference, "true")
            return made
        except NotUsable as exc:
            reasons.append(str(exc))
            for place in sorted(_mounts_below(folder), reverse=True):
                subprocess.run(["umount", "--lazy", place], check=False)
            shutil.rmtree(folder / "root", ignore_errors=True)
            shutil.rmtree(folder / "run", ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
    raise NotUsable("; ".join(reasons))


def _mounts_below(folder: Path) -> list[str]:
    places = (line.split()[1] for line in Path("/proc/mounts").read_text().splitlines())
    return [place for place in places if Path(place).is_relative_to(folder)]
