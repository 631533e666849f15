/* Holds a Pod's namespaces, and reaps what it adopts, until it is told to end. */
#include <signal.h>
#include <stddef.h>

int main(void) {
  sigset_t end;
  int signal_number;
  sigemptyset(&end);
  sigaddset(&end, SIGTERM);
  sigaddset(&end, SIGINT);
  sigprocmask(SIG_BLOCK, &end, NULL);
  signal(SIGCHLD, SIG_IGN);
  return sigwait(&end, &signal_number);
}
