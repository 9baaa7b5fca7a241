"""What the consoles of the fake hypervisor's servers lead to: a black screen by VNC, and a line that repeats what is
typed. Nova's proxies stand in front of both.

console_server.py VNC-PORT SERIAL-PORT
"""
import asyncio
import struct
import sys

GREETING = b"console of a fake hypervisor\r\nlogin: "
WIDTH, HEIGHT = 64, 48
# RFC 6143, section 7.4: 32 bits for a pixel, 24 of them used, 8 for each colour.
PIXEL_FORMAT = struct.pack(">BBBBHHHBBB3x", 32, 24, 0, 1, 255, 255, 255, 16, 8, 0)
NAME = b"fake hypervisor"
# RFC 6143, section 7.5: length of a client's message after its type. Two of them say how much follows.
SET_PIXEL_FORMAT, SET_ENCODINGS, UPDATE_REQUEST, KEY, POINTER, CUT_TEXT = 0, 2, 3, 4, 5, 6
LENGTHS = {SET_PIXEL_FORMAT: 19, SET_ENCODINGS: 3, UPDATE_REQUEST: 9, KEY: 7, POINTER: 5, CUT_TEXT: 7}


async def serve_serial(reader, writer):
    writer.write(GREETING)
    while data := await reader.read(4096):
        writer.write(data)
        await writer.drain()


async def serve_vnc(reader, writer):
    """RFC 6143: the handshake of version 3.8 without authentication, then one black picture for each request."""
    writer.write(b"RFB 003.008\n")
    await reader.readexactly(12)
    writer.write(b"\x01\x01")  # one security type: none
    await reader.readexactly(1)
    writer.write(struct.pack(">I", 0))
    await reader.readexactly(1)
    writer.write(struct.pack(">HH", WIDTH, HEIGHT) + PIXEL_FORMAT + struct.pack(">I", len(NAME)) + NAME)
    while True:
        (kind,) = await reader.readexactly(1)
        message = await reader.readexactly(LENGTHS[kind])
        if kind == SET_ENCODINGS:
            await reader.readexactly(4 * struct.unpack(">xH", message)[0])
        elif kind == CUT_TEXT:
            await reader.readexactly(struct.unpack(">3xI", message)[0])
        elif kind == UPDATE_REQUEST:
            rectangle = struct.pack(">BxHHHHHi", 0, 1, 0, 0, WIDTH, HEIGHT, 0)
            writer.write(rectangle + bytes(4 * WIDTH * HEIGHT))
        await writer.drain()


def until_the_client_leaves(serve):
    async def handle(reader, writer):
        try:
            await serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, KeyError):
            # Gone, or speaks something else: the connection ends either way.
            pass
        finally:
            writer.close()

    return handle


async def main(vnc_port, serial_port):
    vnc = await asyncio.start_server(until_the_client_leaves(serve_vnc), "127.0.0.1", vnc_port)
    serial = await asyncio.start_server(until_the_client_leaves(serve_serial), "127.0.0.1", serial_port)
    await asyncio.gather(vnc.serve_forever(), serial.serve_forever())


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
