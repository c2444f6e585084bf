"""Every error that a user may meet, in one tree.

    BaiTuiError
    ├── BadRequest               the request is malformed
    │   ├── InvalidAmount        a slot amount that is no amount
    │   ├── UnknownSlot
    │   ├── ImpossibleRequest    more than the machine has
    │   ├── SessionExists        the name is taken
    │   ├── QuotaExceeded
    │   └── KernelNotReady
    ├── InvalidAuth              the authorization header cannot be used
    ├── AuthFailed               unknown key or wrong signature
    ├── Forbidden
    ├── NotFound
    │   ├── SessionNotFound
    │   ├── ImageNotFound
    │   └── AmbiguousReference   a prefix that several sessions share
    ├── IllegalState             the session cannot do that now
    ├── NotImplementedHere
    ├── BackendFailure           the backend failed; the request may be right
    │   ├── LaunchFailed
    │   ├── ImageFailed          an image could not be built, pulled or removed
    │   └── ServiceUnavailable
    ├── ConfigError              configuration or environment of this machine
    └── RemoteError              an endpoint answered with an error
        └── Unreachable          an endpoint did not answer

A message is one sentence that names the thing, the place and the next step. The class carries what the
wire needs (`protocol.md` 3: problem type, title, HTTP status), so that the API renders any of them the
same way and the client raises the same classes that the backend did.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

PROBLEM_BASE = "https://api.backend.ai/probs/"


class BaiTuiError(Exception):
    """The base of every error with a message that is fit for a user."""

    status: ClassVar[int] = 500
    """HTTP status that the API answers with."""
    problem: ClassVar[str] = "internal-server-error"
    """Last part of the problem type URL."""
    title: ClassVar[str] = "Internal server error."
    error_code: ClassVar[str] = "backendai_generic_internal-error"

    def __init__(self, message: str, *, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.data = dict(data) if data is not None else None


class BadRequest(BaiTuiError):
    status = 400
    problem = "invalid-api-params"
    title = "Missing or invalid API parameters."
    error_code = "api_generic_invalid-parameters"


class InvalidAmount(BadRequest):
    problem = "invalid-resource-slot-quantity"
    title = "Invalid resource slot quantity."
    error_code = "backendai_parsing_invalid-parameters"


class UnknownSlot(BadRequest):
    problem = "unknown-resource-slot-type"
    title = "Unknown resource slot type."
    error_code = "backendai_parsing_not-found"


class ImpossibleRequest(BadRequest):
    title = "The request can never be fulfilled on this machine."


class SessionExists(BadRequest):
    problem = "session-already-exists"
    title = "The session already exists but you requested not to reuse existing one."
    error_code = "session_create_already-exists"


class QuotaExceeded(BadRequest):
    problem = "quota-exceeded"
    title = "You have reached your resource limit."
    error_code = "user_check-limit_quota-exceeded"


class KernelNotReady(BadRequest):
    problem = "kernel-not-ready"
    title = "The kernel is not ready."
    error_code = "kernel_generic_not-ready"


class InvalidAuth(BaiTuiError):
    status = 400
    problem = "invalid-auth-params"
    title = "Missing or invalid authorization parameters."
    error_code = "user_auth_invalid-parameters"


class AuthFailed(BaiTuiError):
    status = 401
    problem = "auth-failed"
    title = "Credential/signature mismatch."
    error_code = "user_auth_unauthorized"


class Forbidden(BaiTuiError):
    status = 403
    problem = "generic-forbidden"
    title = "Forbidden operation."
    error_code = "api_access_forbidden"


class NotFound(BaiTuiError):
    status = 404
    problem = "object-not-found"
    title = "No such object."
    error_code = "api_read_not-found"


class SessionNotFound(NotFound):
    title = "No such session."
    error_code = "session_read_not-found"


class ImageNotFound(NotFound):
    title = "No such environment image."
    error_code = "image_read_not-found"


class AmbiguousReference(NotFound):
    """`data["matches"]` lists `{id, name, status}` of the candidates."""

    problem = "too-many-sessions-matched"
    title = "Too many sessions matched."
    error_code = "session_read_too-many-matched"


class IllegalState(BaiTuiError):
    status = 409
    problem = "invalid-kernel-status"
    title = "Invalid session status for this operation."
    error_code = "session_generic_invalid-status"


class NotImplementedHere(BaiTuiError):
    status = 501
    problem = "not-implemented"
    title = "This API is not implemented."
    error_code = "api_generic_not-implemented"


class BackendFailure(BaiTuiError):
    """The backend could not do what it was rightly asked."""


class LaunchFailed(BackendFailure):
    problem = "kernel-creation-failed"
    title = "Kernel creation has failed."
    error_code = "kernel_create_failed"


class ImageFailed(BackendFailure):
    """An image could not be built, pulled or removed; the message says at which step and where the log is."""

    title = "The image could not be prepared."
    error_code = "image_setup_failed"


class ServiceUnavailable(BackendFailure):
    status = 503
    problem = "service-unavailable"
    title = "Service unavailable."
    error_code = "backendai_generic_unavailable"


class ConfigError(BaiTuiError):
    """Something on this machine must be set right by the user: a file, a folder, an environment variable."""


class RemoteError(BaiTuiError):
    """An endpoint answered with an error (client side)."""

    def __init__(
        self,
        message: str,
        *,
        http_status: int,
        problem_type: str = "",
        remote_title: str = "",
        data: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, data=data)
        self.http_status = http_status
        """The answer's HTTP status; 400 for GraphQL failures, 0 when there was no answer."""
        self.problem_type = problem_type.removeprefix(PROBLEM_BASE)
        """The last part of the problem type, such as `object-not-found`; empty when the body had none."""
        self.remote_title = remote_title


class Unreachable(RemoteError):
    """No answer: refused, timed out, reset, or not HTTP."""

    def __init__(self, message: str) -> None:
        super().__init__(message, http_status=0)
