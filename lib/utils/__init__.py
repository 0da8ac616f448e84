"""Geometry and small helpers that import nothing of the project."""
