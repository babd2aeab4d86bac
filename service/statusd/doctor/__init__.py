"""What may be wrong with a unit's surroundings: each finding with its cure."""
