"""Time and memory, measured: satae-train beside its peers, and how both grow."""
