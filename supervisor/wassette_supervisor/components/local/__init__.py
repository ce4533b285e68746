"""A directory whose files are components: looked at, judged, and followed."""
