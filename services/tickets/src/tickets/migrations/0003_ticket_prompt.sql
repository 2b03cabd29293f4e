-- The digest of the system prompt with which the agent made the ticket; NULL where none was told.
ALTER TABLE tickets ADD COLUMN prompt text;
