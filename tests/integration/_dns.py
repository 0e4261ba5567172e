"""A question to a name server on loopback."""
import socket


def answer_flags(port, name, record_type, *, wants_ad=False, timeout_s=0.5):
    """The answer's second octet of flags, where 0x20 is AD; None: there is none in time, or an error."""
    question = (b"\0\1\1" + (b"\x20" if wants_ad else b"\0") + b"\0\1\0\0\0\0\0\0"
                + b"".join(bytes([len(label)]) + label for label in name.encode().split(b".")) + b"\0" + bytes([0, record_type, 0, 1]))
    with socket.socket(type=socket.SOCK_DGRAM) as udp:
        udp.settimeout(timeout_s)
        udp.connect(("127.0.0.1", port))
        try:
            udp.send(question)
            flags = udp.recv(4096)[3]
            return None if flags & 15 else flags
        except OSError:
            return None
