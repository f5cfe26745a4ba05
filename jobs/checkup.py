"""`python -m jobs.checkup [STORE FILE]`: what a cluster runs, and whether it reaches a store."""

import sys

from app.launch.checkup import inside
from app.launch.remote import answer

if __name__ == "__main__":
    answer(inside(*sys.argv[1:]))
