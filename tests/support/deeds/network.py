"""Somebody to talk to."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from support.deeds.catalogue import deed
from support.deeds.raw import call

if TYPE_CHECKING:
    from support.deeds.catalogue import Scene

_MSG_FASTOPEN = 0x20000000  # linux/socket.h
_MPTCP = 262
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
