"""What a run leaves behind and shows: records, TensorBoard, pictures, the console."""
