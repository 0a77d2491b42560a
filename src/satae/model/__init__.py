"""The science in pure torch: nothing here reads a file, writes a log or knows a configuration."""
