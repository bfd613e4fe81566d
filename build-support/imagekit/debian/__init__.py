"""Debian root file systems: .deb locks, the files they name, and root file systems made from those files."""
