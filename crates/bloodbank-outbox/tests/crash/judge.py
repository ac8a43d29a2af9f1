"""Reads the queue and the database by itself, and says what is not as it must be.

judge.py <amqp url> <queue> <database url> <psql>
"""

import asyncio
import json
import sqlite3
import subprocess
import sys

import aio_pika

MOST = 1_000_000


def rows(database, psql, sql):
    if database.startswith("sqlite:"):
        with sqlite3.connect(database.removeprefix("sqlite:")) as connection:
            return connection.execute(sql).fetchall()
    out = subprocess.run([psql, "-AtX", "-F", ",", "-c", sql, database], check=True, capture_output=True, text=True)
    return [tuple(int(cell) for cell in line.split(",")) for line in out.stdout.splitlines()]


async def messages(url, name):
    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel()
        queue = await channel.get_queue(name)
        count = queue.declaration_result.message_count
        read = []
        done = asyncio.get_running_loop().create_future()

        def take(message):
            read.append((message.body, message.message_id, message.routing_key))
            if len(read) == count:
                done.set_result(None)

        if count:
            await queue.consume(take, no_ack=True)
            await asyncio.wait_for(done, 120)
        return read


def main():
    url, name, database, psql = sys.argv[1:]
    seen, last = {}, {}
    found = dict(events=0, repeated=0, changed=0, out_of_order=0, lost=0, effects=0)
    for body, message_id, key in asyncio.run(messages(url, name)):
        envelope = json.loads(body)
        if envelope["id"] != message_id or envelope["event_type"] != key:
            found["changed"] += 1
        if envelope["id"] in seen:
            found["repeated"] += 1
            found["changed"] += seen[envelope["id"]] != body
            continue
        seen[envelope["id"]] = body
        found["events"] += 1
        aggregate, n = divmod(envelope["data"]["n"], MOST)
        # One that was rolled back has a number that another has, too.
        found["out_of_order"] += n != last.get(aggregate, 0) + 1
        last[aggregate] = n
    aggregates = dict(rows(database, psql, "SELECT id, n FROM aggregates"))
    effects = dict(rows(database, psql, "SELECT id, n FROM effects"))
    found["lost"] = abs(sum(aggregates.values()) - found["events"])
    found["lost"] += sum(n != last.get(aggregate, 0) for aggregate, n in aggregates.items())
    found["effects"] = sum(abs(n - effects[aggregate]) for aggregate, n in aggregates.items())
    print(json.dumps(found))


main()
