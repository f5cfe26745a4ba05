"""Rows of our own in the shape of the hub's data sets, one module for each file of the catalogue.

A module has `ROWS` (OWNER/NAME/CONFIG/SPLIT -> rows), and `MANUAL` (path below the mirror -> text) where its tasks read
files that a user fetches.
"""
