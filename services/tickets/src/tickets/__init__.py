"""The support-ticket workflow, its notifier and the staff command."""
