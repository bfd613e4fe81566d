"""Signatures of images, SBOMs and provenance: Sigstore bundles, and the older layout of cosign."""
