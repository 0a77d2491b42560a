"""Our training written for other tools, as their competent users would write it; run in an environment of its own."""
