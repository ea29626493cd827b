"""Tensors that lie in pieces over processes, in safetensors files that any number of processes read back."""
