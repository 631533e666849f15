/* reload HOW DIRECTORY: prints the file `answer` in DIRECTORY at the start and after each SIGHUP, which it takes by a handler, in
   sigwait(3) or from a signalfd(2). It has one thread. */
#define _GNU_SOURCE
#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void handler(int signal) { (void)signal; }

static void print_answer(const char *directory) {
  char path[4096], text[256];
  snprintf(path, sizeof path, "%s/answer", directory);
  FILE *file = fopen(path, "r");
  if (!file || !fgets(text, sizeof text, file)) err(1, "%s", path);
  fclose(file);
  printf("answer %s\n", text);
  fflush(stdout);
}

int main(int count, char **arguments) {
  if (count != 3) errx(2, "usage: reload handler|sigwait|signalfd DIRECTORY");
  const char *how = arguments[1];
  sigset_t hangup, none;
  sigemptyset(&none);
  sigemptyset(&hangup);
  sigaddset(&hangup, SIGHUP);
  sigprocmask(SIG_BLOCK, &hangup, NULL);
  int descriptor = strcmp(how, "signalfd") ? -1 : signalfd(-1, &hangup, 0);
  if (!strcmp(how, "handler")) sigaction(SIGHUP, &(struct sigaction){.sa_handler = handler}, NULL);
  for (;;) {
    print_answer(arguments[2]);
    struct signalfd_siginfo received;
    int number;
    if (!strcmp(how, "handler")) sigsuspend(&none);
    else if (!strcmp(how, "sigwait")) sigwait(&hangup, &number);
    else if (read(descriptor, &received, sizeof received) < 0) err(1, "signalfd");
  }
}
