"""The worker as a process: started, told, watched, ended."""
