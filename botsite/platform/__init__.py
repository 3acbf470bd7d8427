"""What `make run` is made of: secrets, a Redis server, and a supervisor of processes.

Nothing here knows about bots, and nothing but the standard library is imported.
"""
