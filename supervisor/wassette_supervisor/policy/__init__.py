"""What a policy means: read strictly, decided purely; nothing here does I/O."""
