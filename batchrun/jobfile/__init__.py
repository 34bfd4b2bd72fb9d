"""Job files: bytes to checked jobs, or to problems with file, line and column. No database, no network."""
