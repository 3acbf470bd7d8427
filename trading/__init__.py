"""Knowledge of markets: plain Python, no Django, no Celery."""
