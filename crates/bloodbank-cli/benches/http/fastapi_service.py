"""The service that this replaces: FastAPI, Pydantic and aio-pika, with the same contract.

It takes the payload of `theboard.meeting.created`, checks it, puts the envelope around it and answers
202 with it once the broker has confirmed it.
"""

import os
import uuid
from contextlib import asynccontextmanager
from datetime import datetime, timezone
from typing import Annotated, Literal

import aio_pika
from fastapi import FastAPI, Request
from pydantic import BaseModel, ConfigDict, Field

KEY = "theboard.meeting.created"
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
    id: uuid.UUID
    event_type: str = KEY
    source: str = "theboard-producer"
    timestamp: datetime
    schema_: Annotated[str, Field(alias="schema")] = SCHEMA
    data: MeetingCreated


@asynccontextmanager
async def connected(app: FastAPI):
    connection = await aio_pika.connect(os.environ["RABBIT_URL"])
    channel = await connection.channel(publisher_confirms=True)
    app.state.exchange = await channel.get_exchange("bloodbank.events.v1")
    yield
    await connection.close()


app = FastAPI(lifespan=connected)


@app.get("/ready")
async def ready() -> dict[str, bool]:
    return {"ready": True}


@app.post(f"/events/{KEY}", status_code=202)
async def publish(meeting: MeetingCreated, request: Request) -> Envelope:
    envelope = Envelope(id=uuid.uuid4(), timestamp=datetime.now(timezone.utc), data=meeting)
    message = aio_pika.Message(
        envelope.model_dump_json(by_alias=True).encode(),
        content_type="application/json",
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        message_id=str(envelope.id),
    )
    await request.app.state.exchange.publish(message, KEY)
    return envelope
