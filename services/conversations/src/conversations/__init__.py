"""What is said and who speaks: conversations, their transcript and their events."""
