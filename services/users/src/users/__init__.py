"""The user-database tool."""
