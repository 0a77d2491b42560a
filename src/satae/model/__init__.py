"""The science in torch: nothing here trains or writes a log; of ``config`` it uses only registries and types."""
