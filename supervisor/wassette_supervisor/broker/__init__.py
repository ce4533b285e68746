"""The broker: it serves requests that were decided elsewhere, locked down in its own process."""
