"""How a deployment gets registered with Restate, and how it is proven that calls reach it."""
