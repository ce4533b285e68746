/* What a guest may try without HTTP, on the loopback interface. */

#pragma once

#include "http.h"
#include "streams.h"

#define TCP(name) OF("wasi:sockets/tcp@0.2.0", "[method]tcp-socket." name)
#define UDP(name) OF("wasi:sockets/udp@0.2.0", name)

struct pipes { /* result<tuple<handle, handle>, sockets' error-code> */
    u8 failed;
    union {
        s32 handles[2];
        u8 code;
    };
};

struct lookup { /* result<option<ip-address>, sockets' error-code>: of 22 bytes */
    u8 failed, padding, code, rest[19];
};

struct datagram {
    struct text data;
    u8 there, padding[3], version, more[3]; /* of an address */
    unsigned short port;
    u8 address[4], rest[22];
};

/* An ip-socket-address is its case, and eleven numbers of the larger of two records. */
#define ADDRESS u32, u32, u32, u32, u32, u32, u32, u32, u32, u32, u32, u32
#define LOOPBACK(port) 0, port, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0

OF("wasi:sockets/instance-network@0.2.0", "instance-network") s32 network(void);
OF("wasi:sockets/ip-name-lookup@0.2.0", "resolve-addresses")
void resolve_addresses(s32, const u8 *, size_t, struct made *);
OF("wasi:sockets/ip-name-lookup@0.2.0", "[method]resolve-address-stream.resolve-next-address")
void next_address(s32, struct lookup *);
OF("wasi:sockets/ip-name-lookup@0.2.0", "[method]resolve-address-stream.subscribe")
s32 subscribe_lookup(s32);
OF("wasi:sockets/tcp-create-socket@0.2.0", "create-tcp-socket") void create_tcp(u32, struct made *);
TCP("start-bind") void tcp_start_bind(s32, s32, ADDRESS, struct step *);
TCP("finish-bind") void tcp_finish_bind(s32, struct step *);
TCP("start-connect") void start_connect(s32, s32, ADDRESS, struct step *);
TCP("finish-connect") void finish_connect(s32, struct pipes *);
TCP("start-listen") void start_listen(s32, struct step *);
TCP("finish-listen") void finish_listen(s32, struct step *);
TCP("subscribe") s32 subscribe_tcp(s32);
OF("wasi:sockets/udp-create-socket@0.2.0", "create-udp-socket") void create_udp(u32, struct made *);
UDP("[method]udp-socket.start-bind") void udp_start_bind(s32, s32, ADDRESS, struct step *);
UDP("[method]udp-socket.finish-bind") void udp_finish_bind(s32, struct step *);
UDP("[method]udp-socket.stream") void udp_stream(s32, u32, ADDRESS, struct pipes *);
UDP("[method]outgoing-datagram-stream.check-send") void check_send(s32, struct room *);
UDP("[method]outgoing-datagram-stream.send")
void send_datagrams(s32, const struct datagram *, size_t, struct room *);

static const struct text SOCKET_CODES[] = {
    WORD("unknown"), WORD("access-denied"), WORD("not-supported"), WORD("invalid-argument"),
    WORD("out-of-memory"), WORD("timeout"), WORD("concurrency-conflict"), WORD("not-in-progress"),
    WORD("would-block"), WORD("invalid-state"), WORD("new-socket-limit"),
    WORD("address-not-bindable"), WORD("address-in-use"), WORD("remote-unreachable"),
    WORD("connection-refused"), WORD("connection-reset"), WORD("connection-aborted"),
    WORD("datagram-too-large"), WORD("name-unresolvable"), WORD("temporary-resolver-failure"),
    WORD("permanent-resolver-failure"),
};

static struct text joined(struct text first, struct text second) {
    u8 *room = cabi_realloc(0, 0, 1, first.length + second.length);
    for (size_t i = 0; i < first.length; i++)
        room[i] = first.start[i];
    for (size_t i = 0; i < second.length; i++)
        room[first.length + i] = second.start[i];
    return (struct text){room, first.length + second.length};
}

static struct text tried;

/* Whether a step was refused; then it is told. */
static int refused(struct text step, int refused, u8 code) {
    if (refused)
        tried = joined(step, SOCKET_CODES[code]);
    return refused;
}

#define REFUSED(name, result) refused(WORD(name " "), (result).failed, (result).code)

static void try_tcp(int listen, u32 port) {
    struct made socket;
    struct step step;
    struct pipes pipes;
    create_tcp(0, &socket);
    if (REFUSED("create-tcp-socket", socket))
        return;
    if (listen) {
        tcp_start_bind(socket.handle, network(), LOOPBACK(port), &step);
        if (REFUSED("start-bind", step))
            return;
        tcp_finish_bind(socket.handle, &step);
        if (REFUSED("finish-bind", step))
            return;
        start_listen(socket.handle, &step);
        if (REFUSED("start-listen", step))
            return;
        finish_listen(socket.handle, &step);
        REFUSED("finish-listen", step);
    } else {
        start_connect(socket.handle, network(), LOOPBACK(port), &step);
        if (REFUSED("start-connect", step))
            return;
        wait(subscribe_tcp(socket.handle));
        finish_connect(socket.handle, &pipes);
        REFUSED("finish-connect", pipes);
    }
}

static void try_udp(int send, u32 port) {
    struct made socket;
    struct step step;
    struct pipes pipes;
    struct room room;
    struct datagram one = {
        .data = WORD("out"), .there = 1, .port = port, .address = {127, 0, 0, 1}};
    create_udp(0, &socket);
    if (REFUSED("create-udp-socket", socket))
        return;
    udp_start_bind(socket.handle, network(), LOOPBACK(send ? 0 : port), &step);
    if (REFUSED("start-bind", step))
        return;
    udp_finish_bind(socket.handle, &step);
    if (REFUSED("finish-bind", step) || !send)
        return;
    udp_stream(socket.handle, 0, LOOPBACK(0), &pipes);
    if (REFUSED("stream", pipes))
        return;
    check_send(pipes.handles[1], &room);
    if (REFUSED("check-send", room))
        return;
    send_datagrams(pipes.handles[1], &one, 1, &room);
    REFUSED("send", room);
}

static void try_lookup(void) {
    struct text name = WORD("localhost");
    struct made stream;
    struct lookup lookup;
    resolve_addresses(network(), name.start, name.length, &stream);
    if (REFUSED("resolve-addresses", stream))
        return;
    wait(subscribe_lookup(stream.handle));
    next_address(stream.handle, &lookup);
    REFUSED("resolve-next-address", lookup);
}
