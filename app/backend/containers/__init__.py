"""The container engine of this machine, through the Docker Engine API: Docker, or Podman's service of the same form.

What the engine knows and does; not what sessions or images of bai-tui are. Imports the model only. aiohttp is loaded
with the first request, not with this package.
"""

from .answers import ContainerState, EngineImage, EngineInfo, Listed, LogLine, PullStep
from .client import ContainerClient
from .errors import ContainerError, EngineGone
from .inspection import Inspector, NoPython, PythonInside
from .sockets import find_socket
from .ulimits import own_ulimits

__all__ = [
    "ContainerClient",
    "ContainerError",
    "ContainerState",
    "EngineGone",
    "EngineImage",
    "EngineInfo",
    "Inspector",
    "Listed",
    "LogLine",
    "NoPython",
    "PullStep",
    "PythonInside",
    "find_socket",
    "own_ulimits",
]
