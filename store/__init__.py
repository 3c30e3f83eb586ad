"""What a fleet remembers: one SQLite file, partitioned by bot."""
