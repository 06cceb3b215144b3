"""Tables of methods as data, and what makes a row of one the same row again."""
