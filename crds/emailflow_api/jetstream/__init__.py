"""What of JetStream is part of the product: names and settings of streams, buckets and consumers.

The operator (or `emailflow dev`) makes them so, the runtime relies on them. Pure: it names and
describes, it never connects.
"""
