/*
 * A clock that stands where it is told to. Preloaded into a process, it makes the calls that read the time of day return the
 * microseconds since 1970 that stand in the file named by SERVER_TIME, in eight bytes; while they are 0, the true time.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *told;

__attribute__((constructor)) static void start(void) {
  static int64_t none;
  const char *path = getenv("SERVER_TIME");
  int fd = path ? open(path, O_RDONLY) : -1;
  void *page = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *told, PROT_READ, MAP_SHARED, fd, 0);
  told = page == MAP_FAILED ? &none : page;
  if (fd >= 0) close(fd);
}

static int64_t told_now(void) { return told ? *told : 0; }

int clock_gettime(clockid_t clock, struct timespec *time) {
  static int (*real)(clockid_t, struct timespec *);
  if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  int64_t now = clock == CLOCK_REALTIME ? told_now() : 0;
  if (now == 0) return real(clock, time);
  time->tv_sec = now / 1000000;
  time->tv_nsec = now % 1000000 * 1000;
  return 0;
}

int gettimeofday(struct timeval *time, void *zone) {
  (void)zone;
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  time->tv_sec = now.tv_sec;
  time->tv_usec = now.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *seconds) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (seconds) *seconds = now.tv_sec;
  return now.tv_sec;
}
