"""What people look at: tables, pictures, progress, TensorBoard, the record of a run."""
