"""Tuning a base model on a mixture."""

VERSION = "2"
"""Changes whenever the same run would end with other weights, if only by rounding."""
