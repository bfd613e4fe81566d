"""Checks that hold for every image: one file each."""
