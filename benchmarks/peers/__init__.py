"""What we are measured against, each used the way that is best for it."""
