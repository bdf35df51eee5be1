#!/usr/bin/env python3
"""Bookinfo's `reviews` as a small server: v1 without stars, v2 with black ones.

    demo/reviews.py VERSION [PORT] [--failing N] [--until-stdin-ends]

It listens on 127.0.0.1, by default at any free port, prints the address, and answers every path.
"""

import argparse
import itertools
import json
import os
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REVIEWS = [
    ("Reviewer1", "An extremely entertaining play by Shakespeare. The slapstick humour is refreshing!", 5),
    ("Reviewer2", "Absolutely fun and entertaining. The play lacks thematic depth when compared to other plays by Shakespeare.", 4),
]


def body(version, product):
    """The answer of a version, as Bookinfo's has it."""
    reviews = []
    for reviewer, text, stars in REVIEWS:
        review = {"reviewer": reviewer, "text": text}
        if version != "v1":
            review["rating"] = {"stars": stars, "color": "black"}
        reviews.append(review)
    answer = {"id": product, "podname": f"reviews-{version}", "clustername": "demo", "reviews": reviews}
    return json.dumps(answer).encode()


def handler(version, failing):
    asked = itertools.count(1)

    class Reviews(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1  # one write for the whole answer

        def do_GET(self):
            if failing and next(asked) % failing == 0:
                self.answer(500, b"it fails\n", "text/plain")
                return
            product = re.search(r"/(\d+)(?:\?|$)", self.path)
            self.answer(200, body(version, product.group(1) if product else "0"), "application/json")

        def answer(self, status, content, kind):
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(content)))
            self.send_header("x-reviews-version", version)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    return Reviews


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        # A client may go away at any time.
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def main():
    parser = argparse.ArgumentParser(description="Bookinfo's reviews as a small server.")
    parser.add_argument("version", help="v1 has no stars; v2 has black ones")
    parser.add_argument("port", nargs="?", type=int, default=0, help="default: any free one")
    parser.add_argument("--failing", type=int, default=0, metavar="N", help="each Nth answer is a 500")
    parser.add_argument("--until-stdin-ends", action="store_true", help="end when standard input is closed")
    asked = parser.parse_args()
    server = Server(("127.0.0.1", asked.port), handler(asked.version, asked.failing))
    print(f"reviews {asked.version} on 127.0.0.1:{server.server_address[1]}", flush=True)
    if asked.until_stdin_ends:
        def watch():
            sys.stdin.buffer.read()
            os._exit(0)

        threading.Thread(target=watch, daemon=True).start()
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
