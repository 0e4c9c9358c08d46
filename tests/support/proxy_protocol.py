# SPDX-License-Identifier: Apache-2.0
"""PROXY protocol headers, written and read independently of the program under test."""
import ipaddress
import struct

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
V4, V6, UNIX = 0x11, 0x21, 0x31


def version1(source, source_port=56324, destination="198.51.100.2", destination_port=443):
    family = "TCP6" if ":" in source else "TCP4"
    return f"PROXY {family} {source} {destination} {source_port} {destination_port}\r\n".encode()


def version2(source=None, source_port=56324, destination=None, destination_port=443, tlvs=b"",
             command=0x21):
    """`source` None: an unknown family."""
    if source is None:
        return SIGNATURE + bytes([command, 0]) + struct.pack(">H", len(tlvs)) + tlvs
    wide = ":" in source
    destination = destination or ("2001:db8::2" if wide else "198.51.100.2")
    body = (ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed +
            struct.pack(">HH", source_port, destination_port) + tlvs)
    return SIGNATURE + bytes([command, V6 if wide else V4]) + struct.pack(">H", len(body)) + body


def local():
    return version2(command=0x20)


def tlv(kind, value):
    return bytes([kind]) + struct.pack(">H", len(value)) + value


def read_version2(wire):
    """Reads one header off a Wire; (source, source port, destination, port), or None for unknown."""
    fixed = wire.read_exactly(16)
    assert fixed[:12] == SIGNATURE, fixed
    assert fixed[12] == 0x21, fixed
    body = wire.read_exactly(struct.unpack(">H", fixed[14:])[0])
    if fixed[13] == 0:
        return None
    size = {V4: 4, V6: 16}[fixed[13]]
    ports = struct.unpack(">HH", body[2 * size:2 * size + 4])
    return (str(ipaddress.ip_address(body[:size])), ports[0],
            str(ipaddress.ip_address(body[size:2 * size])), ports[1])
