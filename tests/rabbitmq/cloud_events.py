"""CloudEvents by the Python SDK of CloudEvents: publishes one, or prints those that come."""

import asyncio
import datetime
import json
import sys

import aio_pika
from cloudevents.core.bindings import amqp, rabbitmq
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

KEY = "llm.prompt"


def event() -> CloudEvent:
    attributes = {
        "id": "0195c3b9-4e77-7a21-9d38-5c0b6f1e2a94",
        "source": "/python",
        "type": KEY,
        "time": datetime.datetime(2026, 1, 31, 12, 0, 0, 125000, tzinfo=datetime.timezone.utc),
        "datacontenttype": "application/json",
        "correlationid": "0195c3b9-4e77-7a21-9d38-5c0b6f1e2a95",
        "tenant": "x",
    }
    data = {
        "event_type": KEY,
        "prompt_id": "0195c3b9-4e77-7a21-9d38-5c0b6f1e2a96",
        "agent_name": "Bob",
        "model": "gpt-5",
        "prompt": "Grüße aus Python",
    }
    return CloudEvent(attributes, data)


def message(form: str) -> aio_pika.Message:
    if form == "rabbitmq":
        made = rabbitmq.to_binary(event(), JSONFormat())
        return aio_pika.Message(made.body, headers=made.headers, content_type=made.content_type)
    write = amqp.to_structured if form == "structured" else amqp.to_binary
    made = write(event(), JSONFormat())
    return aio_pika.Message(
        made.application_data,
        headers=made.application_properties,
        content_type=made.properties["content-type"],
    )


async def publish(channel: aio_pika.abc.AbstractChannel, form: str) -> None:
    exchange = await channel.get_exchange("bloodbank.events.v1")
    await exchange.publish(message(form), routing_key=KEY, mandatory=False)


async def consume(channel: aio_pika.abc.AbstractChannel, count: str) -> None:
    queue = await channel.declare_queue(exclusive=True)
    await queue.bind("bloodbank.events.v1", "llm.#")
    print("bound", flush=True)
    left = int(count)
    async with queue.iterator(timeout=20) as messages:
        async for message in messages:
            async with message.process():
                print(json.dumps(described(message), default=str), flush=True)
            left -= 1
            if left == 0:
                return


def described(message: aio_pika.abc.AbstractIncomingMessage) -> dict:
    properties = {"content-type": message.content_type}
    said = amqp.AMQPMessage(properties, dict(message.headers), message.body)
    event = amqp.from_amqp(said, JSONFormat())
    return {"attributes": event.get_attributes(), "data": event.get_data()}


async def main(url: str, mode: str, argument: str) -> None:
    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel()
        await (publish if mode == "publish" else consume)(channel, argument)


asyncio.run(main(*sys.argv[1:]))
