"""Where an image comes from: SLSA provenance as an in-toto statement."""
