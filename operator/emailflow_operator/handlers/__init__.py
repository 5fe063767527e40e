"""What Kopf calls. A handler only passes an event on; deciding and doing are elsewhere."""
