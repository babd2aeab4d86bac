"""`statusd web`: a real server, asked and attacked over real HTTP."""
