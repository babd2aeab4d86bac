"""Every unit, from anywhere: what others import."""
