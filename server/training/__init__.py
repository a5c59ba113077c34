"""`turnout train`: from labelled text to the file that the learned classifier reads."""
