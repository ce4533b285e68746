"""The grammar of the command line: a table of commands, and the parser made from it."""
