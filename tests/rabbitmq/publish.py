"""Publishes one message under llm.prompt, and says its bytes in hexadecimal."""

import asyncio
import datetime
import json
import sys
import uuid

import aio_pika


def body(kind: str) -> bytes:
    if kind == "garbage":
        return b"\xff\x00 no JSON \x01"
    data = {
        "event_type": "llm.prompt",
        "prompt_id": str(uuid.uuid4()),
        "agent_name": "Bob",
        "model": "gpt-5",
        "prompt": "Grüße aus Python",
    }
    if kind == "broken":
        data["temperature"] = 9.0
    now = datetime.datetime.now(datetime.timezone.utc)
    envelope = {
        "id": str(uuid.uuid4()),
        "event_type": "llm.prompt",
        "source": "python",
        "timestamp": now.isoformat(),
        "correlation_id": None,
        "data": data,
    }
    return json.dumps(envelope, ensure_ascii=False, indent=1).encode()


async def main(url: str, kind: str) -> None:
    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel()
        exchange = await channel.get_exchange("bloodbank.events.v1")
        message = aio_pika.Message(body(kind), headers={"from": "python", "number": 7})
        await exchange.publish(message, routing_key="llm.prompt", mandatory=False)
        print(message.body.hex())


asyncio.run(main(*sys.argv[1:]))
