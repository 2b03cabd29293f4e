"""The agent: routes one question to tools and answers it."""
