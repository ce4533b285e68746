"""What this system has of what the sandbox needs: tried out, not guessed."""
