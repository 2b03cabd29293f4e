"""Injections: a model that obeys whatever it reads, and what it can do in the world without a person's yes."""
