"""What sessions and GPUs really use."""
