"""The parts of an evaluation: a module without torch for each (options, report), and its measurement beside it."""
