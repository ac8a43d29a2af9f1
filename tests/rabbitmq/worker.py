"""Answers two commands of a queue, as any worker on AMQP does."""

import asyncio
import json
import sys

import aio_pika


async def main(url: str, name: str) -> None:
    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel()
        queue = await channel.get_queue(name)
        handled = 0
        async with queue.iterator(timeout=20) as messages:
            print("ready", flush=True)
            async for message in messages:
                async with message.process():
                    await answer(channel, message)
                handled += 1
                if handled == 2:
                    return


async def answer(
    channel: aio_pika.abc.AbstractChannel, message: aio_pika.abc.AbstractIncomingMessage
) -> None:
    command = json.loads(message.body)
    said = {
        "topic": command["data"]["topic"],
        "correlation_id": command.get("correlation_id"),
    }
    reply = aio_pika.Message(
        json.dumps({"ok": said}).encode(), correlation_id=message.correlation_id
    )
    await channel.default_exchange.publish(reply, routing_key=message.reply_to)


asyncio.run(main(*sys.argv[1:]))
