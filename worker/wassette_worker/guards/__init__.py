"""Where a capability comes into being and Python decides; the native functions move the data."""
