"""Giving up rights: one operating-system mechanism a file, one ordered list that uses them."""
