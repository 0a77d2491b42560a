"""Where a run sends its numbers and pictures while it trains: TensorBoard, nowhere, and the console."""
