"""What every shard runs on: its journal, its tables and artifacts, the loop over its records, and its start and end."""
