"""The command line: its words, the runs that they ask for, and how these are made and end."""
