"""Asking a person: which changes need one, the words of the question, what was answered."""
