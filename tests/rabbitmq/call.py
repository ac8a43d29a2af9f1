"""Calls a command, and prints the answer with the correlation id that it names, and the expected one."""

import asyncio
import datetime
import json
import sys
import uuid

import aio_pika

KEY = "terminal.mooring.create"


async def main(url: str, kind: str) -> None:
    envelope = {
        "id": str(uuid.uuid4()),
        "event_type": KEY,
        "source": "python",
        "timestamp": datetime.datetime.now(datetime.timezone.utc).isoformat(),
        "correlation_id": str(uuid.uuid4()),
        "data": {"topic": kind},
    }
    correlation_id = {"own": "call 7", "none": None, "old": envelope["correlation_id"]}[kind]
    expected = "call 7" if kind == "own" else envelope["id"]
    later = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=1)
    headers = {"x-bloodbank-answer-by": later.isoformat()} if kind == "old" else {}
    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel()
        replies = await channel.declare_queue(exclusive=True)
        exchange = await channel.get_exchange("bloodbank.commands.v1")
        message = aio_pika.Message(
            json.dumps(envelope).encode(),
            headers=headers,
            correlation_id=correlation_id,
            reply_to=replies.name,
        )
        async with replies.iterator(timeout=20) as answers:
            await exchange.publish(message, routing_key=KEY)
            async for answer in answers:
                said = {
                    "answer": json.loads(answer.body),
                    "correlation_id": answer.correlation_id,
                    "expected": expected,
                }
                print(json.dumps(said))
                return


asyncio.run(main(*sys.argv[1:]))
