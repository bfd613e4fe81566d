"""Sources of components: what a release refers to, the pins that fix it, and the patches carried on top."""
