/* The limit: what a server can do that does nothing but call send() once per message and subscriber.
 *
 *     limit PORT VALKEY_SOCKET
 *
 * Speaks just enough HTTP, websocket and graphql-transport-ws for the load client (which does not
 * check Sec-WebSocket-Accept), and just enough RESP to hear what is published as bench:JOB.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { ID = 36, BUCKETS = 1 << 16, BUFFER_BYTES = 1 << 20, EVENTS = 512 };

typedef struct Job {
    char id[ID];
    int *fds, count, room;
    struct Job *next;
} Job;

static Job *jobs[BUCKETS];
static int epoll_fd, listener, valkey;
static char heard[BUFFER_BYTES];
static size_t heard_bytes;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static Job *job_of(const char *id) {
    uint32_t hash = 2166136261u;
    for (int i = 0; i < ID; i++) hash = (hash ^ (uint8_t)id[i]) * 16777619u;
    Job **place = &jobs[hash % BUCKETS];
    for (Job *job = *place; job; job = job->next)
        if (memcmp(job->id, id, ID) == 0) return job;
    Job *job = calloc(1, sizeof *job);
    memcpy(job->id, id, ID);
    job->next = *place;
    return *place = job;
}

static size_t frame(char *to, const char *text, size_t n) {
    size_t head = n < 126 ? 2 : 4;
    to[0] = (char)0x81;
    to[1] = (char)(n < 126 ? n : 126);
    if (head == 4) {
        to[2] = (char)(n >> 8);
        to[3] = (char)n;
    }
    memcpy(to + head, text, n);
    return n + head;
}

static void say(int fd, const char *text) {
    char out[512];
    send(fd, out, frame(out, text, strlen(text)), MSG_NOSIGNAL);
}

static void subscribe(int fd, char *text, size_t n) {
    char *at = memmem(text, n, "\"variables\"", 11);
    at = at ? memmem(at, n - (size_t)(at - text), "[\"", 2) : NULL;
    if (!at) return;
    Job *job = job_of(at + 2);
    if (job->count == job->room) {
        job->room = job->room ? job->room * 2 : 4;
        job->fds = realloc(job->fds, (size_t)job->room * sizeof *job->fds);
    }
    job->fds[job->count++] = fd;
    say(fd, "{\"id\":\"1\",\"type\":\"next\",\"payload\":{\"data\":{\"jobProgress\":{\"version\":0}}}}");
}

static void on_client(int fd) {
    static char data[65536];
    ssize_t got = recv(fd, data, sizeof data - 1, 0);
    if (got <= 0) {
        if (got < 0 && errno == EAGAIN) return;
        for (int i = 0; i < BUCKETS; i++)
            for (Job *job = jobs[i]; job; job = job->next)
                for (int k = 0; k < job->count; k++)
                    if (job->fds[k] == fd) job->fds[k--] = job->fds[--job->count];
        close(fd);
        return;
    }
    data[got] = 0;
    if (strncmp(data, "GET ", 4) == 0) {
        static const char answer[] =
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
            "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n";
        send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL);
    } else if (memmem(data, (size_t)got, "connection_init", 15)) {
        say(fd, "{\"type\":\"connection_ack\"}");
    } else if (memmem(data, (size_t)got, "\"subscribe\"", 11)) {
        subscribe(fd, data, (size_t)got);
    }
}

static void accept_all(void) {
    int fd, one = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
    }
}

static void publish(const char *id, const char *change, size_t n) {
    static char text[65536], out[65600];
    static const char start[] = "{\"id\":\"1\",\"type\":\"next\",\"payload\":{\"data\":{\"jobProgress\":";
    size_t size = sizeof start - 1;
    if (n + size + 3 > sizeof text) return;
    memcpy(text, start, size);
    memcpy(text + size, change, n);
    memcpy(text + size + n, "}}}", 3);
    size_t whole = frame(out, text, size + n + 3);
    Job *job = job_of(id);
    for (int i = 0; i < job->count; i++) send(job->fds[i], out, whole, MSG_NOSIGNAL);
}

/* Reads `$N\r\n...\r\n` at `*at`; returns its content, or NULL if it is not whole. */
static char *bulk(char **at, char *end, size_t *n) {
    char *line = memmem(*at, (size_t)(end - *at), "\r\n", 2);
    if (!line) return NULL;
    *n = strtoul(*at + 1, NULL, 10);
    if (line + 2 + *n + 2 > end) return NULL;
    *at = line + 2 + *n + 2;
    return line + 2;
}

static void on_valkey(void) {
    ssize_t got = recv(valkey, heard + heard_bytes, sizeof heard - heard_bytes, 0);
    if (got <= 0) die("valkey");
    heard_bytes += (size_t)got;
    char *at = heard, *end = heard + heard_bytes;
    while (at < end) {
        char *cursor = memmem(at, (size_t)(end - at), "\r\n", 2);
        if (!cursor) break;
        int parts = atoi(at + 1);
        cursor += 2;
        char *content[4] = {0};
        size_t sizes[4] = {0};
        int whole = 1;
        for (int i = 0; i < parts && whole; i++) {
            if (cursor < end && *cursor == ':') {
                char *line = memmem(cursor, (size_t)(end - cursor), "\r\n", 2);
                whole = line != NULL;
                if (line) cursor = line + 2;
            } else {
                content[i] = bulk(&cursor, end, &sizes[i]);
                whole = content[i] != NULL;
            }
        }
        if (!whole) break;
        if (parts == 4) publish(content[2] + sizes[2] - ID, content[3], sizes[3]);
        at = cursor;
    }
    heard_bytes = (size_t)(end - at);
    memmove(heard, at, heard_bytes);
}

int main(int count, char **arguments) {
    if (count != 3) return 2;
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    struct sockaddr_un path = {.sun_family = AF_UNIX};
    strncpy(path.sun_path, arguments[2], sizeof path.sun_path - 1);
    valkey = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(valkey, (struct sockaddr *)&path, sizeof path) < 0) die("valkey");
    static const char command[] = "*2\r\n$10\r\nPSUBSCRIBE\r\n$7\r\nbench:*\r\n";
    if (send(valkey, command, sizeof command - 1, 0) < 0) die("valkey");
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)atoi(arguments[1]))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int one = 1;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0) die("bind");
    if (listen(listener, 4096) < 0) die("listen");
    epoll_fd = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event);
    event.data.fd = valkey;
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, valkey, &event);
    puts("ready");
    fflush(stdout);
    struct epoll_event events[EVENTS];
    for (;;) {
        int n = epoll_wait(epoll_fd, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) accept_all();
            else if (fd == valkey) on_valkey();
            else on_client(fd);
        }
    }
}
