"""Somebody to talk to."""

from __future__ import annotations

import ctypes
import fcntl
import socket
import struct
import sys
from typing import TYPE_CHECKING

from support.deeds.catalogue import deed
from support.deeds.raw import call

if TYPE_CHECKING:
    from support.deeds.catalogue import Scene

_MSG_FASTOPEN = 0x20000000  # linux/socket.h
_MPTCP = 262
_TCP_FASTOPEN_CONNECT = 30  # linux/tcp.h
_PIECE = struct.Struct("PQ")  # struct iovec
_MESSAGE = struct.Struct("PI4xPQPQiI4x")  # struct mmsghdr
_HERE = "127.0.0.1"
_QUERY = bytes.fromhex("000101000001000000000000") + b"\7example\3com\0\0\1\0\1"


@deed("network")
def connect_by_tcp(scene: Scene) -> None:
    with socket.socket() as peer:
        peer.connect((_HERE, scene.tcp))


@deed("network")
def connect_by_tcp_over_ipv6(scene: Scene) -> None:
    with socket.socket(socket.AF_INET6) as peer:
        peer.connect(("::1", scene.tcp6))


@deed("network")
def connect_by_mptcp(scene: Scene) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, _MPTCP) as peer:
        peer.connect((_HERE, scene.tcp))


@deed("network")
def send_while_connecting(scene: Scene) -> None:
    with socket.socket() as peer:
        peer.sendto(b"x", _MSG_FASTOPEN, (_HERE, scene.tcp))


@deed("network")
def send_a_message_while_connecting(scene: Scene) -> None:
    with socket.socket() as peer:
        peer.sendmsg([b"x"], [], _MSG_FASTOPEN, (_HERE, scene.tcp))


@deed("network")
def send_many_messages_while_connecting(scene: Scene) -> None:
    with socket.socket() as peer:
        place = socket.AF_INET.to_bytes(2, sys.byteorder) + scene.tcp.to_bytes(2, "big")
        name = ctypes.create_string_buffer(place + socket.inet_aton(_HERE) + bytes(8), 16)
        text = ctypes.create_string_buffer(b"x")
        piece = _PIECE.pack(ctypes.addressof(text), 1)
        pieces = ctypes.create_string_buffer(piece, len(piece))
        message = _MESSAGE.pack(ctypes.addressof(name), 16, ctypes.addressof(pieces), 1, 0, 0, 0, 0)
        call("sendmmsg", peer.fileno(), message, 1, _MSG_FASTOPEN)


@deed("network")
def have_the_first_bytes_connect(scene: Scene) -> None:
    with socket.socket() as peer:
        peer.setsockopt(socket.IPPROTO_TCP, _TCP_FASTOPEN_CONNECT, 1)
        peer.connect((_HERE, scene.tcp))
        peer.send(b"x")


@deed("network")
def connect_from_a_port_of_its_choice(scene: Scene) -> None:
    with socket.socket() as peer:
        peer.bind((_HERE, 0))
        peer.connect((_HERE, scene.tcp))


@deed("network")
def accept_a_connection(_: Scene) -> None:
    with socket.socket() as listener:
        listener.setblocking(False)  # noqa: FBT003 - the standard library's
        try:
            listener.accept()
        except BlockingIOError:
            return


@deed("network")
def answer_its_own_doorbell(_: Scene) -> None:
    # SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, and one that lets all through.
    step = ctypes.create_string_buffer(struct.pack("=HBBI", 6, 0, 0, 0x7FFF_0000), 8)
    call("seccomp", 1, 1 << 3, struct.pack("HxxxxxxP", 1, ctypes.addressof(step)))


@deed("network")
def bring_an_interface_up(_: Scene) -> None:
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh22x", b"lo", 1))  # SIOCSIFFLAGS


@deed("network")
def send_by_udp(scene: Scene) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.sendto(b"x", (_HERE, scene.udp))


@deed("network")
def ask_a_name_server(scene: Scene) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.connect((_HERE, scene.udp))
        peer.sendmsg([_QUERY])


@deed("network")
def listen_by_tcp(_: Scene) -> None:
    with socket.socket() as listener:
        listener.bind((_HERE, 0))
        listener.listen()


@deed("network")
def listen_without_a_name(_: Scene) -> None:
    with socket.socket() as listener:
        listener.listen()


@deed("sockets of the machine")
def connect_to_a_path(scene: Scene) -> None:
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(scene.unix)


@deed("sockets of the machine")
def connect_to_an_abstract_name(scene: Scene) -> None:
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(f"\0{scene.abstract}")


@deed("sockets of the machine")
def listen_at_an_abstract_name_for_siblings(scene: Scene) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0{scene.abstract}-of-its-own")
        listener.listen()


@deed("sockets of the machine")
def make_a_pair(_: Scene) -> None:
    for one in socket.socketpair():
        one.close()


@deed("sockets of the kernel")
def ask_for_routes(_: Scene) -> None:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW) as peer:
        peer.bind((0, 0))


@deed("sockets of the kernel")
def watch_packets(_: Scene) -> None:
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()


@deed("sockets of the kernel")
def make_packets(_: Scene) -> None:
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()


@deed("sockets of the kernel")
def talk_to_a_hypervisor(_: Scene) -> None:
    socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).close()


@deed("sockets of the kernel")
def use_the_kernel_for_ciphers(_: Scene) -> None:
    call("socket", 38, socket.SOCK_SEQPACKET, 0)  # AF_ALG, linux/socket.h
