"""What building and running an image costs, measured against the usual way to do it."""
