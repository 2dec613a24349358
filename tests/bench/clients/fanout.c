/* A load client for graphql-transport-ws: many sockets in one thread, cheap enough not to be measured.
 *
 *     fanout PORT PLAN BASE_NS
 *
 * Each line of the file PLAN is one socket: its connection_init, a tab, its subscribe message. A job's
 * version carries the time when it was published: microseconds of CLOCK_MONOTONIC since BASE_NS.
 * Commands come on stdin, one a line, each answered with one line of JSON:
 *
 *     connect AT_ONCE SNAPSHOTS   open all sockets, wait for SNAPSHOTS messages on each
 *     reset KEEP                  forget the counts; KEEP 1: keep each message's latency from now on;
 *                                 KEEP 0: look for messages once a millisecond, so that the server,
 *                                 whose CPU time is measured, does not pay for waking us each time
 *     await VERSION TIMEOUT_MS    wait until every socket has seen that version or a later one
 *     stats                       counts, latencies in microseconds, this program's CPU seconds
 *     close                       cut all sockets
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CLOSED, CONNECTING, UPGRADING, LIVE };
enum { BUFFER_BYTES = 1 << 20, MAX_SAMPLES = 1 << 22, EVENTS = 512 };

typedef struct {
    char *init, *subscribe, *rest;
    size_t rest_bytes;
    int fd, state, snapshots;
    long version;
} Socket;

static Socket *sockets;
static int socket_count, port, epoll_fd;
static long base_ns;
static int at_once, wanted_snapshots, opening, next_to_open, ready, failed;
static long messages, bytes, awaited, behind, lost;
static double await_until_s, began_s;
static int connecting, awaiting, keep, resting;
static uint32_t *samples;
static size_t sample_count;
static char *buffer;

static long now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000L + t.tv_nsec;
}

static double now_s(void) { return now_ns() / 1e9; }

static double cpu_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void send_frame(Socket *s, int opcode, const char *text, size_t n) {
    /* The mask is there, as clients must, and zero, so that it costs nothing. */
    char *frame = malloc(n + 14);
    size_t head = 2;
    frame[0] = (char)(0x80 | opcode);
    if (n < 126) {
        frame[1] = (char)(0x80 | n);
    } else {
        frame[1] = (char)(0x80 | 126);
        frame[2] = (char)(n >> 8);
        frame[3] = (char)n;
        head = 4;
    }
    memset(frame + head, 0, 4);
    memcpy(frame + head + 4, text, n);
    if (send(s->fd, frame, n + head + 4, MSG_NOSIGNAL) < 0 && failed++ == 0) perror("send");
    free(frame);
}

static void drop(Socket *s) {
    if (s->state == CLOSED) return;
    close(s->fd);
    free(s->rest);
    s->rest = NULL;
    s->rest_bytes = 0;
    s->state = CLOSED;
}

static void open_more(void);

static void lose(Socket *s, const char *why) {
    if (lost++ == 0) fprintf(stderr, "a socket was lost: %s\n", why);
    if (s->snapshots < wanted_snapshots && connecting) {
        failed++;
        opening--;
        drop(s);
        open_more();
    } else {
        drop(s);
    }
}

static void open_one(Socket *s) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int one = 1;
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (s->fd < 0) die("socket");
    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    s->state = CONNECTING;
    s->snapshots = 0;
    s->version = 0;
    opening++;
    if (connect(s->fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS)
        die("connect");
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = s};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, s->fd, &event);
}

static void open_more(void) {
    while (opening < at_once && next_to_open < socket_count) open_one(&sockets[next_to_open++]);
    if (connecting && ready + failed == socket_count) {
        printf("{\"ready\": %d, \"failed\": %d, \"seconds\": %.6f}\n", ready, failed,
               now_s() - began_s);
        connecting = 0;
    }
}

static void upgrade(Socket *s) {
    char text[512];
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = s};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, s->fd, &event);
    int n = snprintf(text, sizeof text,
                     "GET /graphql HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
                     "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                     "Sec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n",
                     port);
    if (send(s->fd, text, (size_t)n, MSG_NOSIGNAL) < 0) {
        lose(s, "refused");
        return;
    }
    s->state = UPGRADING;
}

static void answer_await(void) {
    printf("{\"behind\": %ld, \"messages\": %ld}\n", behind, messages);
    awaiting = 0;
}

static void note_version(Socket *s, long version, long at_ns) {
    messages++;
    if (s->snapshots < wanted_snapshots && ++s->snapshots == wanted_snapshots) {
        ready++;
        opening--;
        open_more();
        s->version = version;
        return;
    }
    if (keep && sample_count < MAX_SAMPLES)
        samples[sample_count++] = (uint32_t)((at_ns - base_ns) / 1000 - version);
    if (version <= s->version) return;
    if (awaiting && s->version < awaited && version >= awaited && --behind == 0) {
        s->version = version;
        answer_await();
        return;
    }
    s->version = version;
}

static void on_text(Socket *s, char *text, size_t n, long at_ns) {
    static const char key[] = "\"version\":";
    char *found = memmem(text, n, key, sizeof key - 1);
    if (found) {
        found += sizeof key - 1;
        while (*found == ' ') found++;
        note_version(s, strtol(found, NULL, 10), at_ns);
    } else if (memmem(text, n, "connection_ack", 14)) {
        send_frame(s, 1, s->subscribe, strlen(s->subscribe));
    } else if (memmem(text, n, "\"ping\"", 6)) {
        send_frame(s, 1, "{\"type\":\"pong\"}", 15);
    } else if (!memmem(text, n, "\"pong\"", 6)) {
        fprintf(stderr, "unexpected: %.*s\n", (int)(n < 400 ? n : 400), text);
    }
}

/* Takes one frame; returns its size, or 0 if it is not whole yet. */
static size_t take_frame(Socket *s, char *data, size_t n, long at_ns) {
    if (n < 2) return 0;
    size_t head = 2, size = data[1] & 0x7f;
    if (size == 126) {
        if (n < 4) return 0;
        size = (size_t)(uint8_t)data[2] << 8 | (uint8_t)data[3];
        head = 4;
    } else if (size == 127) {
        if (n < 10) return 0;
        size = 0;
        for (int i = 2; i < 10; i++) size = size << 8 | (uint8_t)data[i];
        head = 10;
    }
    if (n < head + size) return 0;
    int opcode = data[0] & 0x0f;
    if (opcode == 1) {
        bytes += (long)size;
        on_text(s, data + head, size, at_ns);
    } else if (opcode == 9) {
        send_frame(s, 10, data + head, size);
    } else if (opcode == 8) {
        char why[160];
        int code = size >= 2 ? (uint8_t)data[head] << 8 | (uint8_t)data[head + 1] : 1005;
        snprintf(why, sizeof why, "closed with %d %.*s", code, size > 2 ? (int)size - 2 : 0,
                 data + head + 2);
        lose(s, why);
    }
    return head + size;
}

static void on_readable(Socket *s) {
    size_t n = s->rest_bytes;
    if (n) {
        memcpy(buffer, s->rest, n);
        free(s->rest);
        s->rest = NULL;
        s->rest_bytes = 0;
    }
    ssize_t got = recv(s->fd, buffer + n, BUFFER_BYTES - n - 1, 0);
    if (got <= 0) {
        if (got < 0 && errno == EAGAIN) return;
        lose(s, got == 0 ? "closed without a frame" : strerror(errno));
        return;
    }
    long at_ns = now_ns();
    char *data = buffer;
    n += (size_t)got;
    buffer[n] = 0;
    if (s->state == UPGRADING) {
        char *end = memmem(data, n, "\r\n\r\n", 4);
        if (end) {
            if (strncmp(data, "HTTP/1.1 101", 12) != 0) {
                fprintf(stderr, "%.*s\n", (int)(n < 300 ? n : 300), data);
                lose(s, "not upgraded");
                return;
            }
            s->state = LIVE;
            n -= (size_t)(end + 4 - data);
            data = end + 4;
            send_frame(s, 1, s->init, strlen(s->init));
        }
    }
    while (s->state == LIVE) {
        size_t taken = take_frame(s, data, n, at_ns);
        if (taken == 0) break;
        data += taken;
        n -= taken;
    }
    if (n && s->state != CLOSED) {
        s->rest = malloc(n);
        memcpy(s->rest, data, n);
        s->rest_bytes = n;
    }
}

static int by_size(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void show_stats(void) {
    uint32_t p50 = 0, p99 = 0, most = 0;
    if (sample_count) {
        qsort(samples, sample_count, sizeof *samples, by_size);
        p50 = samples[sample_count / 2];
        p99 = samples[(size_t)((double)(sample_count - 1) * 0.99)];
        most = samples[sample_count - 1];
    }
    printf("{\"messages\": %ld, \"bytes\": %ld, \"lost\": %ld, \"cpu_s\": %.6f, \"samples\": %zu, "
           "\"p50_us\": %u, \"p99_us\": %u, \"max_us\": %u}\n",
           messages, bytes, lost, cpu_s(), sample_count, p50, p99, most);
}

static void on_command(char *line) {
    long a = 0, b = 0;
    if (sscanf(line, "connect %ld %ld", &a, &b) == 2) {
        at_once = (int)a;
        wanted_snapshots = (int)b;
        opening = next_to_open = ready = failed = 0;
        lost = 0;
        connecting = 1;
        resting = 0;
        began_s = now_s();
        open_more();
    } else if (sscanf(line, "reset %ld", &a) == 1) {
        messages = bytes = 0;
        sample_count = 0;
        keep = (int)a;
        resting = !keep;
        printf("{}\n");
    } else if (sscanf(line, "await %ld %ld", &a, &b) == 2) {
        awaited = a;
        await_until_s = now_s() + b / 1e3;
        behind = 0;
        for (int i = 0; i < socket_count; i++)
            behind += sockets[i].state == LIVE && sockets[i].version < awaited;
        awaiting = 1;
        if (behind == 0) answer_await();
    } else if (strncmp(line, "stats", 5) == 0) {
        show_stats();
    } else if (strncmp(line, "close", 5) == 0) {
        for (int i = 0; i < socket_count; i++) drop(&sockets[i]);
        printf("{}\n");
    } else {
        fprintf(stderr, "no such command: %s\n", line);
        exit(2);
    }
}

static void read_commands(void) {
    static char line[4096];
    static size_t n;
    ssize_t got = read(0, line + n, sizeof line - n - 1);
    if (got <= 0) exit(0);
    n += (size_t)got;
    line[n] = 0;
    char *end;
    while ((end = strchr(line, '\n'))) {
        *end = 0;
        on_command(line);
        n -= (size_t)(end + 1 - line);
        memmove(line, end + 1, n + 1);
    }
}

static void read_plan(const char *path) {
    FILE *file = fopen(path, "r");
    if (!file) die(path);
    char *line = NULL;
    size_t room = 0;
    ssize_t n;
    int most = 0;
    while ((n = getline(&line, &room, file)) > 0) {
        if (line[n - 1] == '\n') line[n - 1] = 0;
        if (socket_count == most) {
            most = most ? most * 2 : 256;
            sockets = realloc(sockets, (size_t)most * sizeof *sockets);
        }
        Socket *s = &sockets[socket_count++];
        memset(s, 0, sizeof *s);
        char *tab = strchr(line, '\t');
        if (!tab) die("a line without a tab");
        *tab = 0;
        s->init = strdup(line);
        s->subscribe = strdup(tab + 1);
    }
    free(line);
    fclose(file);
}

int main(int count, char **arguments) {
    if (count != 4) return 2;
    port = atoi(arguments[1]);
    read_plan(arguments[2]);
    base_ns = atol(arguments[3]);
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, SIG_IGN);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    buffer = malloc(BUFFER_BYTES);
    samples = malloc(MAX_SAMPLES * sizeof *samples);
    epoll_fd = epoll_create1(0);
    fcntl(0, F_SETFL, O_NONBLOCK);
    struct epoll_event input = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, 0, &input);
    struct epoll_event events[EVENTS];
    for (;;) {
        int n = epoll_wait(epoll_fd, events, EVENTS, resting ? 0 : awaiting ? 20 : -1);
        for (int i = 0; i < n; i++) {
            Socket *s = events[i].data.ptr;
            if (!s) {
                read_commands();
            } else if (s->state == CONNECTING) {
                upgrade(s);
            } else if (s->state != CLOSED) {
                on_readable(s);
            }
        }
        if (awaiting && now_s() > await_until_s) answer_await();
        if (resting && n < EVENTS) usleep(1000);
    }
}
