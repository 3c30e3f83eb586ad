"""A Bot API double on loopback, scripted people, and the demo made of them."""
