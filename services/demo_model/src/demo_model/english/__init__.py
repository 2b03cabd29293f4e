"""The model itself: what the words of a message mean, and what it says to them."""
