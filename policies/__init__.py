"""The policy pack: what an update must not do, said in the preview and enforced in the update."""
