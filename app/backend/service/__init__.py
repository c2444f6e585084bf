"""The service: sessions from request to end, between the API and the rooms that do the work."""

from .admission import Defaults
from .keypairs import OwnKeypair
from .limits import Policies, rules_of
from .service import LocalService

__all__ = ["Defaults", "LocalService", "OwnKeypair", "Policies", "rules_of"]
