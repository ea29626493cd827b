"""Where utterances come from: tables, trees, manifests, synthesis."""
