"""An OpenAI-compatible stand-in model: it matches words and understands nothing."""
