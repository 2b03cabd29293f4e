"""The desk: pages on which staff read, decide and talk."""
