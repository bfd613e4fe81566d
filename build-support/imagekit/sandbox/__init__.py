"""Run a command inside an unpacked root file system, cut off from the host."""
