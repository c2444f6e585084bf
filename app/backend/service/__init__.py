"""The service: sessions from request to end, between the API and the rooms that do the work."""

from .admission import Defaults
from .limits import Policies, rules_of
from .service import LocalService

__all__ = ["Defaults", "LocalService", "Policies", "rules_of"]
