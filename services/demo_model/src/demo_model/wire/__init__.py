"""A chat completion as OpenAI puts it: the request that comes, the reply that goes."""
