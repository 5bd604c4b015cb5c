/*
 * A disk that breaks when it is told to. Preloaded into a process, it makes the calls that LMDB commits with fail with
 * EIO as soon as the file named by FAIL_FLAG exists. FAIL_CALLS says which: "sync" (fsync, fdatasync), "write"
 * (pwrite, pwritev, writev, write to *.mdb), "hang" (a sync sleeps until the flag is gone again) or "slow" (a sync takes
 * a second). FAIL_ERRNO is the number of another error than EIO, FAIL_FILE a part of the path of other files than data.mdb.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static int told(const char *kind) {
  const char *flag = getenv("FAIL_FLAG");
  const char *calls = getenv("FAIL_CALLS");
  return flag && calls && strcmp(calls, kind) == 0 && access(flag, F_OK) == 0;
}

/* Everything else the process writes, its own output above all, goes through. */
static int is_store(int fd) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  const char *file = getenv("FAIL_FILE");
  return strstr(path, file ? file : "data.mdb") != NULL;
}

static int fails(const char *kind, int fd) {
  if (!is_store(fd)) return 0;
  if (strcmp(kind, "sync") == 0)
    while (told("hang")) usleep(10000);
  if (strcmp(kind, "sync") == 0 && told("slow")) sleep(1);
  if (!told(kind)) return 0;
  const char *number = getenv("FAIL_ERRNO");
  errno = number ? atoi(number) : EIO;
  return 1;
}

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

int fsync(int fd) {
  REAL(fsync);
  return fails("sync", fd) ? -1 : real(fd);
}

int fdatasync(int fd) {
  REAL(fdatasync);
  return fails("sync", fd) ? -1 : real(fd);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off_t at) {
  REAL(pwrite64);
  return fails("write", fd) ? -1 : real(fd, data, size, at);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
  REAL(pwrite);
  return fails("write", fd) ? -1 : real(fd, data, size, at);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
  REAL(pwritev);
  return fails("write", fd) ? -1 : real(fd, parts, count, at);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  REAL(writev);
  return fails("write", fd) ? -1 : real(fd, parts, count);
}

ssize_t write(int fd, const void *data, size_t size) {
  REAL(write);
  return fails("write", fd) ? -1 : real(fd, data, size);
}
