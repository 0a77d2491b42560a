"""Runs beside one another: where each is kept, how they are grouped, what is shown of all of them."""
