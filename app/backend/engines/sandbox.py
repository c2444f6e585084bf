"""Sandboxes of bubblewrap's: whether they can be had here, what a session's looks like, and what it is worth."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ...model.errors import LaunchFailed
from ..ports import LaunchSpec
from . import jupyter
from .devicefiles import device_files
from .environment import lent_modules, lent_python

_log: Final = logging.getLogger(__name__)
_INSIDE: Final = Path(__file__).parent.parent / "runner" / "inside.py"
_OLDEST: Final = (0, 4)
_PROBE_S: Final = 30.0
_AGAIN_S: Final = 30.0
"""How long a refusal holds: whoever installs what is missing need not restart the backend."""
_NAMING_FOLDERS: Final = ("LD_LIBRARY_PATH", "CUDA_HOME", "CUDA_PATH", "CUDA_MPS_PIPE_DIRECTORY", "SSL_CERT_DIR")
_NAMING_FILES: Final = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_SECRETS: Final = (
    "/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", "/etc/sudoers", "/etc/sudoers.d", "/etc/ssh",
    "/etc/ssl/private", "/etc/pki/tls/private", "/etc/letsencrypt", "/etc/wireguard", "/etc/krb5.keytab",
    "/etc/kubernetes", "/etc/NetworkManager/system-connections", "/etc/cron.d", "/var/spool/cron", "/var/spool/mail",
    "/var/mail", "/var/log", "/var/backups", "/var/lib/docker", "/var/lib/containerd", "/var/lib/kubelet",
    "/var/lib/private", "/lost+found",
)  # fmt: skip
"""What is there to be read by root alone: hidden from the sessions of a backend that runs as root."""
_LOGIN_UID: Final = 1000
"""Accounts of people begin here."""


@dataclass(frozen=True, slots=True)
class Bubblewrap:
    """The program, as it was found."""

    path: str
    version: tuple[int, ...]


def find_bubblewrap(which: str | None = None) -> Bubblewrap:
    """Returns the bubblewrap of this machine. Blocks for some milliseconds.

    Args:
        which: its path, where the one on PATH is not meant.

    Raises:
        LaunchFailed: there is none, or one that is too old.
    """
    path = which or shutil.which("bwrap")
    if path is None:
        raise LaunchFailed(
            "isolation needs bubblewrap, which is not installed: install the package bubblewrap, or launch without "
            "isolation"
        )
    try:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=_PROBE_S).stdout
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise LaunchFailed(f"isolation needs bubblewrap, but {path} cannot be run: {exc}") from None
    numbers = re.findall(r"\d+", said)
    version = tuple(map(int, numbers[:3]))
    if version < _OLDEST:
        raise LaunchFailed(
            f"isolation needs bubblewrap {_OLDEST[0]}.{_OLDEST[1]} or later, but {path} is "
            f"{said.strip() or 'of no known version'}: install a newer one, or launch without isolation"
        )
    return Bubblewrap(path, version)


def named_folders(environ: Mapping[str, str]) -> list[Path]:
    """Returns the files and folders that the variables of the backend and of its devices tell a session to use."""
    found = [path for name in _NAMING_FOLDERS for path in environ.get(name, "").split(os.pathsep)]
    found += [environ.get(name, "") for name in _NAMING_FILES]
    return [Path(path) for path in found if path.startswith("/")]


def people_homes(passwd: Path = Path("/etc/passwd"), environ: Mapping[str, str] = os.environ) -> list[str]:
    """Returns the homes of this machine's people, our own among them, which may be none of an account's."""
    found = {environ.get("HOME", ""), str(Path.home())}
    try:
        for line in passwd.read_text("utf-8", "replace").splitlines():
            parts = line.split(":")
            if len(parts) == 7 and parts[2].isdigit() and _LOGIN_UID <= int(parts[2]) < 60000:
                found.add(parts[5])
    except OSError:
        pass
    return sorted(home for home in found if home.startswith("/"))


class Sandboxes:
    """Knows whether sandboxes work here, which is tried once, and describes those of sessions."""

    def __init__(self, state_dir: Path, hide: Iterable[Path] = (), *, which: str | None = None) -> None:
        """Tries nothing yet.

        Args:
            state_dir: for the folder of the trial.
            hide: folders of the backend that no session is to see, `state_dir` among them.
            which: path of bubblewrap; None = the one on PATH.
        """
        self._trial = state_dir / "trial"
        self._hide = [str(folder) for folder in (state_dir, *hide)]
        self._which = which
        self._works: dict[bool, Bubblewrap] = {}
        """Network or not -> the bubblewrap that can do it."""
        self._refused: dict[bool, tuple[float, str]] = {}
        self._trying = asyncio.Lock()

    async def check(self, *, network: bool) -> Bubblewrap:
        """Returns the bubblewrap that isolates sessions here, having tried it once.

        Raises:
            LaunchFailed: it cannot be done: what, why, and what to do.
        """
        async with self._trying:
            if network in self._works:
                return self._works[network]
            since_s, why = self._refused.get(network, (-_AGAIN_S, ""))
            if time.monotonic() - since_s < _AGAIN_S and why:
                raise LaunchFailed(why)
            try:
                found = await asyncio.to_thread(self._try, network)
            except LaunchFailed as exc:
                self._refused[network] = time.monotonic(), exc.message
                _log.warning("%s", exc.message)
                raise
            _log.info("bubblewrap %s isolates sessions here", ".".join(map(str, found.version)))
            self._works[network] = found
            return found

    def _try(self, network: bool) -> Bubblewrap:
        found = find_bubblewrap(self._which)
        spec = self._spec(found, network=network, hide=(), devices=(), keep=(), shm_bytes=0, shell={}, lent={})
        try:
            # of a fixed name: a backend that is killed meanwhile leaves no more than the next one uses again
            self._trial.mkdir(mode=0o700, parents=True, exist_ok=True)
            done = subprocess.run(
                [sys.executable, "-s", str(_INSIDE), "0"],
                input=json.dumps({"probe": spec, "folder": str(self._trial)}),
                capture_output=True,
                text=True,
                timeout=_PROBE_S,
                start_new_session=True,
            )
        except (OSError, subprocess.TimeoutExpired) as exc:
            raise LaunchFailed(f"isolation by {found.path} could not be tried: {exc}") from None
        if done.returncode != 0:
            why = (done.stderr.strip().splitlines() or ["it said nothing"])[-1][:300]
            what = "isolation" if network else "isolation without network"
            raise LaunchFailed(
                f"{what} does not work on this machine: {why}. It needs user namespaces that an ordinary user may "
                "make (sysctl kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns, or the "
                "settings of the container); allow them, or launch without isolation"
            )
        return found

    def _spec(
        self,
        found: Bubblewrap,
        *,
        network: bool,
        hide: Sequence[str],
        devices: Sequence[str],
        keep: Sequence[str],
        shm_bytes: int,
        shell: Mapping[str, Any],
        lent: Mapping[str, str],
        prefixes: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Returns what `runner.sandbox_mounts.arguments` and `runner.sandbox.Sandbox` take. Reads small files."""
        return {
            "bwrap": found.path,
            "version": found.version,
            "network": network,
            "hide": [*people_homes(), *self._hide, *hide, *(_SECRETS if os.geteuid() == 0 else ())],
            "devices": list(devices),
            "keep": list(keep),
            "shm_bytes": shm_bytes,
            "shell": dict(shell),
            "lent": dict(lent),
            "prefixes": list(prefixes),
        }

    async def spec(self, launch: LaunchSpec, keep: Sequence[Path]) -> dict[str, Any] | None:
        """Returns how the runner is to isolate a session; None = it is not.

        Args:
            keep: files and folders outside of the system that the session needs. All of it is shown inside: nothing
                of it may be for the user to say.

        Raises:
            LaunchFailed: it is to be isolated and cannot be.
        """
        if not launch.isolation:
            return None
        if launch.isolation != "bwrap":
            raise LaunchFailed(f"the isolation {launch.isolation!r} is not known here: use 'bwrap'")
        found = await self.check(network=launch.network)
        is_jupyter = jupyter.is_jupyter(launch.image)
        lent = {} if is_jupyter or launch.image.kernel == "plain" else lent_modules()
        shell = {
            "jupyter": jupyter.pyzmq_folders() if is_jupyter else None,
            "plain": launch.image.kernel == "plain",
            "lent": lent,
            "lent_python": lent_python(),
        }
        prefixes: list[str] = []
        if is_jupyter:
            prefixes = await asyncio.to_thread(jupyter.installation, launch.image, os.environ)
            keep = [*keep, Path(launch.image.kernelspec)]
        return await asyncio.to_thread(
            self._spec,
            found,
            network=launch.network,
            hide=[str(launch.session_dir.parent)],
            devices=device_files(launch.granted),
            keep=[str(path) for path in keep],
            shm_bytes=launch.mem_limit_bytes,
            shell=shell,
            lent=lent,
            prefixes=prefixes,
        )
