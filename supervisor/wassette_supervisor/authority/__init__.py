"""From what a policy says to what one call is given; here names become paths and values."""
