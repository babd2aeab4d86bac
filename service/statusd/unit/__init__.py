"""The shell of one unit. Nothing here knows how many others there are."""
