"""The directory of one run: its layout, its record, its metrics, and its trained model."""
