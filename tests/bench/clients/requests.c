/* A load client for HTTP/1.1: ready requests over kept connections, in one thread.
 *
 *     requests PORT FILE CONNECTIONS GOOD
 *
 * FILE holds requests, each behind a line with its size in bytes. An answer is good if it has status
 * 200 and its body contains the text GOOD. Commands come on stdin, one a line, each answered with one
 * line of JSON when it is done:
 *
 *     run COUNT PER_S     send the next COUNT requests of the file (it starts again at its end), so
 *                         many a second; 0: each connection sends its next one after its answer
 *
 * Latencies count from when a request was due, so that a server that stops does not hide it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER_BYTES = 1 << 18, EVENTS = 256 };

typedef struct {
    char *text;
    size_t bytes;
} Request;

typedef struct {
    int fd, busy;
    long due_ns;
    size_t bytes;
    char data[BUFFER_BYTES + 1];
} Connection;

static Request *requests;
static int request_count, next_request, port, connection_count, epoll_fd;
static Connection **connections;
static const char *good_text;
static long left_to_send, left_to_hear, heard, good, began_ns, sent;
static double per_s;
static uint32_t *samples;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static long now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000L + t.tv_nsec;
}

static double cpu_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void open_connection(Connection *c) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    c->bytes = 0;
    c->busy = 0;
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address) < 0) die("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event);
}

static void send_next(Connection *c, long due_ns) {
    Request *r = &requests[next_request++ % request_count];
    c->busy = 1;
    c->due_ns = due_ns;
    left_to_send--;
    sent++;
    if (send(c->fd, r->text, r->bytes, MSG_NOSIGNAL) != (ssize_t)r->bytes) die("send");
}

/* The size of the whole answer in `data`, or 0 if more is to come. */
static size_t answer_bytes(char *data, size_t n) {
    char *end = memmem(data, n, "\r\n\r\n", 4);
    if (!end) return 0;
    size_t head = (size_t)(end + 4 - data);
    char *length = strcasestr(data, "\ncontent-length:");
    if (length && length < end) {
        size_t whole = head + strtoul(length + 16, NULL, 10);
        return n >= whole ? whole : 0;
    }
    return n >= head + 5 && memcmp(data + n - 5, "0\r\n\r\n", 5) == 0 ? n : 0;
}

static int by_size(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void finish(void) {
    double seconds = (now_ns() - began_ns) / 1e9;
    qsort(samples, (size_t)heard, sizeof *samples, by_size);
    printf("{\"answers\": %ld, \"good\": %ld, \"seconds\": %.6f, \"cpu_s\": %.6f, \"p50_us\": %u, "
           "\"p99_us\": %u, \"max_us\": %u}\n",
           heard, good, seconds, cpu_s(), samples[heard / 2],
           samples[(long)((double)(heard - 1) * 0.99)], samples[heard - 1]);
}

static void on_answer(Connection *c) {
    ssize_t got = recv(c->fd, c->data + c->bytes, BUFFER_BYTES - c->bytes, 0);
    if (got <= 0) {
        if (c->busy) {
            fprintf(stderr, "a connection was closed before its answer\n");
            exit(1);
        }
        close(c->fd);
        open_connection(c);
        return;
    }
    if (!c->busy) {
        /* The server has had enough of a connection on which nothing was asked (408). */
        close(c->fd);
        open_connection(c);
        return;
    }
    c->bytes += (size_t)got;
    c->data[c->bytes] = 0;
    size_t whole = answer_bytes(c->data, c->bytes);
    if (!whole) return;
    int is_good = memcmp(c->data + 9, "200", 3) == 0 && strstr(c->data, good_text);
    if (!is_good && good == heard) fprintf(stderr, "not good: %.600s\n", c->data);
    samples[heard++] = (uint32_t)((now_ns() - c->due_ns) / 1000);
    good += is_good;
    left_to_hear--;
    c->bytes = 0;
    c->busy = 0;
    if (per_s == 0 && left_to_send) send_next(c, now_ns());
    if (left_to_hear == 0) finish();
}

static void send_due(void) {
    for (int i = 0; i < connection_count && left_to_send; i++) {
        if (connections[i]->busy) continue;
        long due_ns = began_ns + (long)((double)sent / per_s * 1e9);
        if (due_ns > now_ns()) return;
        send_next(connections[i], due_ns);
    }
}

static void on_command(void) {
    char line[256];
    long count;
    ssize_t n = read(0, line, sizeof line - 1);
    if (n <= 0) exit(0);
    line[n] = 0;
    if (sscanf(line, "run %ld %lf", &count, &per_s) != 2) exit(2);
    left_to_send = left_to_hear = count;
    heard = good = sent = 0;
    samples = realloc(samples, (size_t)count * sizeof *samples);
    began_ns = now_ns();
    for (int i = 0; per_s == 0 && i < connection_count && left_to_send; i++)
        send_next(connections[i], now_ns());
}

static void read_requests(const char *path) {
    FILE *file = fopen(path, "r");
    size_t size;
    int room = 0;
    if (!file) die(path);
    while (fscanf(file, "%zu", &size) == 1) {
        fgetc(file);
        if (request_count == room) {
            room = room ? room * 2 : 256;
            requests = realloc(requests, (size_t)room * sizeof *requests);
        }
        Request *r = &requests[request_count++];
        r->bytes = size;
        r->text = malloc(size);
        if (fread(r->text, 1, size, file) != size) die("a short request");
    }
    fclose(file);
}

int main(int count, char **arguments) {
    if (count != 5) return 2;
    port = atoi(arguments[1]);
    read_requests(arguments[2]);
    connection_count = atoi(arguments[3]);
    good_text = arguments[4];
    setvbuf(stdout, NULL, _IOLBF, 0);
    epoll_fd = epoll_create1(0);
    connections = malloc((size_t)connection_count * sizeof *connections);
    for (int i = 0; i < connection_count; i++) {
        connections[i] = malloc(sizeof **connections);
        open_connection(connections[i]);
    }
    struct epoll_event input = {.events = EPOLLIN, .data.ptr = NULL}, events[EVENTS];
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, 0, &input);
    for (;;) {
        struct timespec wait = {.tv_sec = 3600}, *timeout = &wait;
        if (per_s > 0 && left_to_send) {
            long due_ns = began_ns + (long)((double)sent / per_s * 1e9) - now_ns();
            /* All connections busy: an answer wakes us; look again soon in any case. */
            wait = (struct timespec){.tv_nsec = due_ns > 0 && due_ns < 100000000 ? due_ns : 100000};
        }
        int n = epoll_pwait2(epoll_fd, events, EVENTS, timeout, NULL);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr) on_answer(events[i].data.ptr);
            else on_command();
        }
        if (per_s > 0) send_due();
    }
}
