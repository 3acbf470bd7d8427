"""Redis as Celery's broker, with a worker that goes on after a refused acknowledgement."""

from kombu.transport import redis, virtual


class Deliveries(redis.QoS):
    """What was delivered and not acknowledged; so many as the prefetch count may be under way."""

    def ack(self, delivery_tag: str) -> None:
        """Acknowledge a message; raises what the broker's client raises."""
        try:
            super().ack(delivery_tag)
        except Exception:
            # Kombu keeps the message's place taken for ever when Redis cannot be reached: Celery
            # only logs the error. Once all places are, the worker never asks Redis for anything
            # again, so that it does not notice either that the connection is gone.
            virtual.QoS.ack(self, delivery_tag)
            raise


class Channel(redis.Channel):
    QoS = Deliveries


class Transport(redis.Transport):
    """Kombu's transport for Redis; the setting CELERY_BROKER_TRANSPORT names it."""

    Channel: type[redis.Channel] = Channel
