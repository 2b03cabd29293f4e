"""The test double: what tests tell the model to say, how its replies go wrong, and what it was asked."""
