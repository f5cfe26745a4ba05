"""Requests, a model's answers to them, and their scores."""

PROTOCOL = "5"
"""Changes whenever the same requests would be answered otherwise."""
