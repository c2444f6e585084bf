"""Recipes: environments that are built when they are first used, and cached."""

from .source import RecipeSource

__all__ = ["RecipeSource"]
