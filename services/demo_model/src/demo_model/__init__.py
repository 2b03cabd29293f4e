"""An OpenAI-compatible stand-in model."""
