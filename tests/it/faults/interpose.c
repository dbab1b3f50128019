/* Loaded into the program under test (LD_PRELOAD): moves its clock, and lets one of its system calls fail or kill it.
 *
 * The test and the program share a file of 64-bit words, named by FAULTS_FILE: see the numbers of `enum` below. The test
 * changes them while the program runs. Calls are caught where they enter the kernel (seccomp with SIGSYS), because parts of
 * the program call it without the C library. The clock is the C library's, because reading it does not enter the kernel.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

/* The words of the shared file. `AT` is the number of the call of the kind `KIND` that suffers, from 1; 0: none. */
enum { CLOCK_SECONDS, KIND, AT, ACTION, COUNTS, WORDS = COUNTS + 4 };
/* What a call does: makes a file durable, changes a name in a directory, writes to a file, sends to a socket. */
enum { SYNC, NAME, WRITE, SEND, OTHER };
enum { KILL_BEFORE = 1, KILL_AFTER, NO_SPACE, NO_SPACE_FROM_NOW_ON };

static volatile int64_t *words;

/* A system call that the filter lets pass: it knows it by the address that follows the instruction. */
long faults_call(long number, long a, long b, long c, long d, long e, long f) __attribute__((visibility("hidden")));
extern char faults_called[] __attribute__((visibility("hidden")));

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#define RESULT(context) (context)->uc_mcontext.gregs[REG_RAX]
static const int REGISTERS[] = {REG_RDI, REG_RSI, REG_RDX, REG_R10, REG_R8, REG_R9};
#define ARGUMENT(context, n) (context)->uc_mcontext.gregs[REGISTERS[n]]
__asm__(".text\n.globl faults_call\n.hidden faults_call\nfaults_call:\n"
        "mov %rdi, %rax\nmov %rsi, %rdi\nmov %rdx, %rsi\nmov %rcx, %rdx\nmov %r8, %r10\nmov %r9, %r8\nmov 8(%rsp), %r9\n"
        "syscall\n.globl faults_called\n.hidden faults_called\nfaults_called:\nret\n");
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#define RESULT(context) (context)->uc_mcontext.regs[0]
#define ARGUMENT(context, n) (context)->uc_mcontext.regs[n]
__asm__(".text\n.globl faults_call\n.hidden faults_call\nfaults_call:\n"
        "mov x8, x0\nmov x0, x1\nmov x1, x2\nmov x2, x3\nmov x3, x4\nmov x4, x5\nmov x5, x6\n"
        "svc #0\n.globl faults_called\n.hidden faults_called\nfaults_called:\nret\n");
#else
#error "not written for this processor"
#endif

/* Calls without a descriptor change names; of the others it is the argument of this number. */
static const struct { int number, kind, descriptor; } CALLS[] = {
    {SYS_fsync, SYNC, 0}, {SYS_fdatasync, SYNC, 0}, {SYS_renameat, NAME, -1}, {SYS_renameat2, NAME, -1},
    {SYS_linkat, NAME, -1}, {SYS_unlinkat, NAME, -1},
#ifdef SYS_rename
    {SYS_rename, NAME, -1}, {SYS_link, NAME, -1}, {SYS_unlink, NAME, -1},
#endif
    {SYS_write, WRITE, 0}, {SYS_writev, WRITE, 0}, {SYS_pwrite64, WRITE, 0}, {SYS_pwritev, WRITE, 0},
    {SYS_pwritev2, WRITE, 0}, {SYS_fallocate, WRITE, 0}, {SYS_copy_file_range, WRITE, 2}, {SYS_sendfile, WRITE, 0},
    {SYS_sendto, SEND, 0}, {SYS_sendmsg, SEND, 0}, {SYS_sendmmsg, SEND, 0},
};
enum { CALL_COUNT = sizeof CALLS / sizeof *CALLS };

/* What a call does; one that writes depends on what its descriptor is. */
static int kind_of(int number, const long *arguments) {
  for (int i = 0; i < CALL_COUNT; i++) {
    if (CALLS[i].number != number) continue;
    if (CALLS[i].kind != WRITE) return CALLS[i].kind;
    struct stat found;
    if (faults_call(SYS_fstat, arguments[CALLS[i].descriptor], (long)&found, 0, 0, 0, 0) != 0) return OTHER;
    if (S_ISREG(found.st_mode)) return WRITE;
    return S_ISSOCK(found.st_mode) ? SEND : OTHER;
  }
  return OTHER;
}

/* What removes a name needs no space. */
static int removes(int number) {
#ifdef SYS_unlink
  if (number == SYS_unlink) return 1;
#endif
  return number == SYS_unlinkat;
}

static void end(void) {
  faults_call(SYS_kill, faults_call(SYS_getpid, 0, 0, 0, 0, 0, 0), SIGKILL, 0, 0, 0, 0);
  for (;;) faults_call(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
}

static void caught(int signal, siginfo_t *info, void *given) {
  (void)signal;
  ucontext_t *context = given;
  long a[6];
  for (int i = 0; i < 6; i++) a[i] = ARGUMENT(context, i);
  int kind = kind_of(info->si_syscall, a);
  int64_t action = 0;
  if (kind != OTHER) {
    int64_t count = __atomic_add_fetch(&words[COUNTS + kind], 1, __ATOMIC_SEQ_CST), at = words[AT];
    if (at != 0 && words[KIND] == kind && (count == at || (count > at && words[ACTION] == NO_SPACE_FROM_NOW_ON)))
      action = words[ACTION];
  }
  if (action == KILL_BEFORE) end();
  if ((action == NO_SPACE || action == NO_SPACE_FROM_NOW_ON) && !removes(info->si_syscall)) {
    RESULT(context) = -ENOSPC;
    return;
  }
  long result = faults_call(info->si_syscall, a[0], a[1], a[2], a[3], a[4], a[5]);
  if (action == KILL_AFTER) end();
  RESULT(context) = result;
}

static void catch_calls(void) {
  uint64_t own = (uint64_t)(uintptr_t)faults_called;
  struct sock_filter filter[7 + 2 * CALL_COUNT + 1];
  unsigned length = 0;
#define LOAD(field) filter[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, field)
#define SKIP(value, yes, no) filter[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no)
#define END(what) filter[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, what)
  LOAD(offsetof(struct seccomp_data, instruction_pointer));
  SKIP((uint32_t)own, 0, 3);
  LOAD(offsetof(struct seccomp_data, instruction_pointer) + 4);
  SKIP((uint32_t)(own >> 32), 0, 1);
  END(SECCOMP_RET_ALLOW);
  LOAD(offsetof(struct seccomp_data, nr));
  for (int i = 0; i < CALL_COUNT; i++) {
    SKIP((uint32_t)CALLS[i].number, 0, 1);
    END(SECCOMP_RET_TRAP);
  }
  END(SECCOMP_RET_ALLOW);
  struct sigaction action = {.sa_sigaction = caught, .sa_flags = SA_SIGINFO | SA_NODEFER | SA_RESTART};
  struct sock_fprog program = {.len = (unsigned short)length, .filter = filter};
  if (sigaction(SIGSYS, &action, NULL) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
    _exit(99);
}

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("FAULTS_FILE");
  if (path == NULL) return;
  int file = open(path, O_RDWR | O_CLOEXEC);
  void *shared = mmap(NULL, WORDS * sizeof *words, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (shared == MAP_FAILED) _exit(99);
  close(file);
  words = shared;
  catch_calls();
}

static time_t moved(void) { return words == NULL ? 0 : (time_t)words[CLOCK_SECONDS]; }

int clock_gettime(clockid_t clock, struct timespec *time) {
  static int (*real)(clockid_t, struct timespec *);
  if (real == NULL) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  int result = real(clock, time);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) time->tv_sec += moved();
  return result;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
  (void)zone;
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  *time = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
  return 0;
}

time_t time(time_t *place) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (place != NULL) *place = now.tv_sec;
  return now.tv_sec;
}

/* The kernel waits by its own clock. Times since the machine's start are far smaller than those since 1970. */
static struct timespec unmoved(const struct timespec *until) {
  struct timespec real = *until;
  if (real.tv_sec > 1000000000) real.tv_sec -= moved();
  return real;
}

int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict until) {
  static int (*real)(sem_t *, const struct timespec *);
  if (real == NULL) real = (int (*)(sem_t *, const struct timespec *))dlsym(RTLD_NEXT, "sem_timedwait");
  struct timespec then = unmoved(until);
  return real(semaphore, &then);
}

int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict until) {
  static int (*real)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
  if (real == NULL)
    real = (int (*)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *))dlsym(RTLD_NEXT, "pthread_cond_timedwait");
  struct timespec then = unmoved(until);
  return real(condition, mutex, &then);
}
