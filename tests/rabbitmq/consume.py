"""Binds a queue of its own to the events, says so, and prints the first message as JSON."""

import asyncio
import json
import sys

import aio_pika


async def main(url: str) -> None:
    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(exclusive=True)
        await queue.bind("bloodbank.events.v1", "llm.#")
        print("bound", flush=True)
        async with queue.iterator(timeout=20) as messages:
            async for message in messages:
                async with message.process():
                    print(json.dumps(described(message)), flush=True)
                return


def described(message: aio_pika.abc.AbstractIncomingMessage) -> dict:
    return {
        "message_id": message.message_id,
        "type": message.type,
        "app_id": message.app_id,
        "timestamp": int(message.timestamp.timestamp()),
        "content_type": message.content_type,
        "delivery_mode": int(message.delivery_mode),
        "routing_key": message.routing_key,
        "headers": dict(message.headers),
        "envelope": json.loads(message.body),
    }


asyncio.run(main(*sys.argv[1:]))
