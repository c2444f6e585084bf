"""The environment of a session in a container: the image's own, and what of the backend's is true inside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from ...model.secrets import names_a_secret

HOME: Final = "/home/work"
"""The work folder inside."""
_PASSED: Final = frozenset(
    {
        "TZ", "http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY",
        "FTP_PROXY", "NO_PROXY", "ALL_PROXY",
    }
)  # fmt: skip
_CERTIFICATES: Final = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")
_PASSED_PREFIXES: Final = ("PIP_", "UV_")


def passed(environ: Mapping[str, str], *, session_id: str) -> dict[str, str]:
    """Returns what a container is told by the backend, whose environment `environ` is: how to reach the network.

    What names a file of the machine is not handed on, since it is not there, but for `certificates`.
    """
    found = {
        name: value
        for name, value in environ.items()
        if name in _PASSED
        or (name.startswith(_PASSED_PREFIXES) and not names_a_secret(name) and not value.startswith("/"))
    }
    found.update(HOME=HOME, TERM="xterm", USER="work", BACKENDAI_SESSION_ID=session_id)
    return found


def certificates(environ: Mapping[str, str], inside: str) -> dict[str, tuple[str, str]]:
    """Returns variable -> file of the machine, and where in the folder `inside` it is to be: who signs for servers.

    A network that reads along has an authority of its own, without which nothing can be installed. Looks at files.
    """
    found = {name: environ[name] for name in _CERTIFICATES if Path(environ.get(name, "")).is_file()}
    return {name: (path, f"{inside}/{name}.pem") for name, path in found.items()}


def of_container(pairs: Iterable[str]) -> dict[str, str]:
    """Returns the environment of a container's first process: the image's and what was added, as `NAME=value`."""
    found = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
    found.setdefault("LANG", "C.UTF-8")
    return found
