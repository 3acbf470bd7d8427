"""The whole path, nothing mocked: Redis, worker, beat, ccxt over HTTP, database, browser."""
