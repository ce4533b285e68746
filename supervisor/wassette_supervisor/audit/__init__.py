"""An append-only record of what was granted, refused and done, chained so that damage shows."""
