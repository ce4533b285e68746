"""wasi:filesystem with each path judged: Python decides, native streams move the bytes."""
