/*
 * A stream socket that listens: TCP, or a unix socket, which has mode 0600 from the first moment.
 */
#ifndef HOLDFAST_LISTENING_H
#define HOLDFAST_LISTENING_H
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* IPv6 is IPv6 alone, Nagle's algorithm is off, and what is accepted inherits that. */
static inline int prepare_to_listen(int fd, int family, bool early) {
  const int on = 1;
  if (family == AF_UNIX) return 0;
  int r = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (r == 0) r = setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (r == 0 && family == AF_INET6) r = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (r == 0 && early && family == AF_INET) r = setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof on);
  if (r == 0 && early && family == AF_INET6) r = setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof on);
  return r;
}

/* The socket, or -1 with errno. `early`: the address need not be on this host yet. */
static inline int listening(const struct sockaddr_storage *name, socklen_t length, int backlog, bool early) {
  int fd = socket(name->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  int r = prepare_to_listen(fd, name->ss_family, early);
  if (r == 0) {
    const bool local = name->ss_family == AF_UNIX;
    const mode_t before = local ? umask(0177) : 0;
    r = bind(fd, (const struct sockaddr *)name, length);
    if (local) umask(before);
  }
  if (r == 0) r = listen(fd, backlog);
  if (r == 0) return fd;
  int failed = errno;
  close(fd);
  errno = failed;
  return -1;
}
#endif
