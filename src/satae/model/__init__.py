"""The science in torch: nothing here writes a log or trains; of the configuration only registries and types."""
