"""The same with aio-pika and Pydantic: publish|consume, window or prefetch, count, URL."""

import asyncio
import resource
import sys
import time
import uuid
from datetime import datetime, timezone
from typing import Annotated, Literal

import aio_pika
from pydantic import BaseModel, ConfigDict, Field

EXCHANGE = "bloodbank.events.v1"
KEY = "theboard.meeting.created"
QUEUE = "bench"
SCHEMA = "https://schemas.33god.dev/theboard/meeting.created.v1.json"


class MeetingCreated(BaseModel):
    model_config = ConfigDict(extra="forbid")

    event_type: Literal["theboard.meeting.created"] = "theboard.meeting.created"
    meeting_id: uuid.UUID
    topic: Annotated[str, Field(min_length=1, max_length=1000)]
    strategy: Literal["simple", "multi_agent"]
    max_rounds: Annotated[int, Field(ge=1, le=100)]
    agent_count: Annotated[int, Field(ge=1, le=50)] | None
    scheduled_for: datetime | None = None


class Envelope(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: uuid.UUID
    event_type: str
    source: str
    timestamp: datetime
    schema_: Annotated[str | None, Field(alias="schema")] = None
    data: MeetingCreated


def message() -> aio_pika.Message:
    now = datetime.now(timezone.utc)
    data = MeetingCreated(
        meeting_id=uuid.uuid4(),
        topic="How do we make the roadmap legible?",
        strategy="multi_agent",
        max_rounds=5,
        agent_count=4,
        scheduled_for=now,
    )
    envelope = Envelope(
        id=uuid.uuid4(),
        event_type=KEY,
        source="theboard-producer",
        timestamp=now,
        schema=SCHEMA,
        data=data,
    )
    return aio_pika.Message(
        body=envelope.model_dump_json(by_alias=True).encode(),
        content_type="application/json",
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        message_id=str(envelope.id),
        timestamp=now,
        type=KEY,
        app_id=envelope.source,
        headers={"x-bloodbank-schema": SCHEMA},
    )


def cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def publish(channel: aio_pika.abc.AbstractChannel, window: int, count: int) -> None:
    exchange = await channel.get_exchange(EXCHANGE, ensure=False)
    since, used = time.perf_counter(), cpu()
    for _ in range(count // window):
        await asyncio.gather(*(exchange.publish(message(), KEY) for _ in range(window)))
    tell(since, used, count // window * window)


async def consume(channel: aio_pika.abc.AbstractChannel, prefetch: int, count: int) -> None:
    await channel.set_qos(prefetch_count=prefetch)
    queue = await channel.get_queue(QUEUE, ensure=False)
    done = asyncio.Event()
    seen, since, used = 0, 0.0, 0.0

    async def handle(incoming: aio_pika.abc.AbstractIncomingMessage) -> None:
        nonlocal seen, since, used
        if seen == 0:
            since, used = time.perf_counter(), cpu()
        async with incoming.process():
            envelope = Envelope.model_validate_json(incoming.body)
            assert envelope.data.max_rounds == 5
        seen += 1
        if seen == count:
            done.set()

    await queue.consume(handle)
    await done.wait()
    tell(since, used, count)


def tell(since: float, used: float, count: int) -> None:
    print(count / (time.perf_counter() - since), (cpu() - used) / count)


async def main(what: str, ahead: str, count: str, url: str) -> None:
    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel(publisher_confirms=True)
        work = publish if what == "publish" else consume
        await work(channel, int(ahead), int(count))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
