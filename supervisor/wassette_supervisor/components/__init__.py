"""What is loaded: components, what they and their tools are called, where they came from."""
