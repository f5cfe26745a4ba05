"""Scores that were measured elsewhere: any table of them, and result files of lm-evaluation-harness."""
