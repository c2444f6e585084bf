"""What a container engine refuses, in sentences."""

from __future__ import annotations

from ...model.errors import BackendFailure


class ContainerError(BackendFailure):
    """The container engine refused something, or answered with what cannot be understood."""

    title = "The container engine failed."

    def __init__(self, message: str, *, http_status: int = 0) -> None:
        super().__init__(message)
        self.http_status = http_status
        """HTTP status of its answer; 0 when there was none or it was no error by its status."""

    @property
    def missing(self) -> bool:
        """Whether there is no such image or container."""
        return self.http_status == 404

    @property
    def conflict(self) -> bool:
        """Whether it is in use, or in a state in which that cannot be done."""
        improper = self.http_status == 500 and "container state improper" in self.message  # Podman's way to say it
        return self.http_status == 409 or improper


class EngineGone(ContainerError):
    """No engine answers: none is installed or started, its socket may not be used, or it hangs."""
