"""What we claim about speed and size, measured next to the peers in the same run: `./dev bench`."""
