"""The customers' door: the only room that faces the internet."""
