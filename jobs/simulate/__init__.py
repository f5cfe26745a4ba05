"""Coverage of intervals and errors of tests at the designs of real studies, by simulation."""
