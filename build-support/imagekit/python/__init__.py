"""The Python side of an image: constraints, locks, wheels, and what they become below the virtual environment."""
