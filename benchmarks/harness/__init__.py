"""What the benchmarks share: processes to measure, load from outside, the machine's floor, results.

Nothing in here is part of the product, and nothing here may be measured: load generator and sink are
processes of their own, so that their cost shows as theirs.
"""
