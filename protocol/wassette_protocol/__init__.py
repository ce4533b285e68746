"""What the supervisor and its processes agree on. Imports msgspec only."""
