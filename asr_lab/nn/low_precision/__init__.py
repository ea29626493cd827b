"""Matrix products in 8 and 4 bits: formats, how a tensor is scaled into them, and the layers that use them."""
