"""Redis as bytes: where it is, what things are called there, and the links to it."""
