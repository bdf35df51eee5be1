"""Stands in for every container of the mesh: one HTTP server that answers on all pod addresses.

Every pod address is local to the network namespace, so the address that was dialled tells which pod is meant. The answer is the pod's
version and address; its headers say the version (x-pod-version) and which one the filter named (x-seen-version).
Usage: pods.py KUBECTL [ARGUMENT...]
"""

import asyncio
import codecs
import json
import sys

KUBECTL = sys.argv[1:] or ["kubectl"]
PORT = 8000
# Address of a pod to its version; what is known stays while the API server is away.
versions = {}


def see(event):
    pod = event["object"]
    # An event of type ERROR holds a Status instead of a pod.
    address = pod["status"].get("podIP") if pod["kind"] == "Pod" else None
    if address:
        versions[address] = pod["metadata"].get("labels", {}).get("version", "?")


async def watch():
    """Follows all pods; begins anew whenever the watch ends."""
    while True:
        command = [*KUBECTL, "get", "pods", "-A", "--watch", "--output-watch-events", "-o", "json"]
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL)
        decoder, characters, text = json.JSONDecoder(), codecs.getincrementaldecoder("utf-8")(), ""
        while data := await process.stdout.read(1 << 16):
            text += characters.decode(data)
            while text := text.lstrip():
                try:
                    event, end = decoder.raw_decode(text)
                except json.JSONDecodeError:
                    break
                text = text[end:]
                see(event)
        await process.wait()
        await asyncio.sleep(0.5)


class Pod(asyncio.Protocol):
    """HTTP/1.1 without bodies in requests: each head is answered in order."""

    def connection_made(self, transport):
        self.transport, self.data = transport, b""
        self.address = transport.get_extra_info("sockname")[0]

    def data_received(self, data):
        self.data += data
        while (end := self.data.find(b"\r\n\r\n")) >= 0:
            head, self.data = self.data[:end], self.data[end + 4 :]
            seen = b"".join(line.split(b":", 1)[1].strip() for line in head.split(b"\r\n") if line.lower().startswith(b"x-serin-version:"))
            version = versions.get(self.address, "?")
            body = f"{version} {self.address}\n".encode()
            self.transport.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nx-pod-version: %s\r\nx-seen-version: %s\r\ncontent-length: %d\r\n\r\n%s"
                % (version.encode(), seen, len(body), body)
            )


async def main():
    watching = asyncio.create_task(watch())
    server = await asyncio.get_running_loop().create_server(Pod, "0.0.0.0", PORT, backlog=1024)
    async with server:
        await asyncio.gather(server.serve_forever(), watching)


asyncio.run(main())
