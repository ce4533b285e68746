"""What is loaded: components, their tools, where their bytes are kept."""
