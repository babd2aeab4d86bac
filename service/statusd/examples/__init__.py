"""Workers to try statusd with."""
