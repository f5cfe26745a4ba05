"""What pairs tell: coefficients at every level, their intervals and tests, agreement by item, the limit test."""
