"""A client of another language: what it is told, and what is stored of it."""
import http.client
import json
import sqlite3
import ssl
import sys
import threading
import urllib.error
import urllib.request
import uuid


def ask(url, method="GET", body=None, headers=None, cafile=None):
    """The status, and the answer as JSON."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", **(headers or {})}
    request = urllib.request.Request(url, data, headers, method=method)
    context = ssl.create_default_context(cafile=cafile) if cafile else None
    try:
        with urllib.request.urlopen(request, context=context, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"null")


def load(port, key, payload):
    """Publishes on eight connections until the service takes no more; prints each id that it took."""
    lock, errors = threading.Lock(), []
    body, headers = json.dumps(payload), {"Content-Type": "application/json"}

    def publish():
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=40)
            try:
                connection.connect()
            except ConnectionRefusedError:
                return
            try:
                while True:
                    connection.request("POST", "/events/" + key, body, headers)
                    answer = connection.getresponse()
                    said = answer.read()
                    if answer.status == 202:
                        with lock:
                            print(json.loads(said)["id"], flush=True)
                    if answer.will_close:
                        break
            except Exception as error:  # the judge decides what it means
                with lock:
                    errors.append(type(error).__name__)
                return

    threads = [threading.Thread(target=publish) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print("errors", *sorted(errors), flush=True)


def missing(file, ids):
    """How many of the ids are not in the store's file."""
    store = sqlite3.connect(file)
    stored = {bytes(row[0]) for row in store.execute("SELECT id FROM events")}
    return sum(1 for id in ids if uuid.UUID(id).bytes not in stored)


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    if what == "ask":
        url, method, body, headers, cafile = rest
        print(json.dumps(ask(url, method, json.loads(body), json.loads(headers), cafile or None)))
    elif what == "load":
        load(int(rest[0]), rest[1], json.loads(rest[2]))
    elif what == "missing":
        print(missing(rest[0], sys.stdin.read().split()))
