"""The vocabulary: slots, image references, session states, console records, signing, errors.

Pure Python. Imports nothing of ours and does no I/O, so that everyone may import it.
"""
