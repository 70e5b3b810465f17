"""What is in files: digests, manifests, schemas, and the headers of saved models; nothing is ever executed."""
