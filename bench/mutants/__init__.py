"""Mutation testing: break a module in every small way and see whether its tests notice."""
