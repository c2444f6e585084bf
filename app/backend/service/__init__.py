"""The service: sessions from request to end, between the API and the rooms that do the work."""

from .service import LocalService

__all__ = ["LocalService"]
