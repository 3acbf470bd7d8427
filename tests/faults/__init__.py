"""The fault matrix: each row is a test that bears its name, with real processes where they die."""
