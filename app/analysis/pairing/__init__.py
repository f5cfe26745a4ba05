"""Scores and responses joined into pairs: two conditions on the same items, and what else their sides differ in."""
