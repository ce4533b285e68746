"""What the engine does not bring for guests, and is served from here."""
