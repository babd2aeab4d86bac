"""Settings: what they are, how they are read, and every mistake in them by its place."""
