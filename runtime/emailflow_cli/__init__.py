"""The command line `emailflow`: a thin shell over the API and the runtime.

Commands parse arguments, call one function of another package and print. No rule of the product may
live here.
"""
