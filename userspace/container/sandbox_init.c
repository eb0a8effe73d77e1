/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * sandbox_init.c - process 1 of a sandbox, and the step from it to the command.
 */
#include "container/sandbox_init.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* docker's default set: enough for package managers, nothing that reaches the host. */
static const unsigned kept_capabilities[] = {
	CAP_CHOWN,	CAP_DAC_OVERRIDE, CAP_FSETID,	   CAP_FOWNER,		 CAP_MKNOD,
	CAP_NET_RAW,	CAP_SETGID,	  CAP_SETUID,	   CAP_SETFCAP,		 CAP_SETPCAP,
	CAP_SYS_CHROOT, CAP_KILL,	  CAP_AUDIT_WRITE, CAP_NET_BIND_SERVICE,
};

static unsigned long long capability_mask(void)
{
	unsigned long long mask = 0;

	for (size_t i = 0; i < sizeof(kept_capabilities) / sizeof(kept_capabilities[0]); i++)
		mask |= 1ull << kept_capabilities[i];
	return mask;
}

static int drop_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};
	unsigned long long mask = capability_mask();

	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
		if (!(mask >> cap & 1) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return -errno;
	}
	if (syscall(SYS_capget, &header, data) < 0)
		return -errno;
	for (int i = 0; i < 2; i++) {
		data[i].permitted &= (__u32)(mask >> (32 * i));
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	/* Ambient ones go with the permitted ones. */
	return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

/* As execvp(), but a file that is no program is an error and not a shell script. */
static int exec_in_path(const char *name, char *const *argv)
{
	const char *path = getenv("PATH"), *end;
	int err = -ENOENT;

	if (!*name)
		return -ENOENT;
	if (strchr(name, '/')) {
		execve(name, argv, environ);
		return -errno;
	}
	for (path = path ? path : DEFAULT_PATH; path; path = *end ? end + 1 : NULL) {
		auto_free char *file = NULL;

		end = strchrnul(path, ':');
		if (asprintf(&file, "%.*s%s%s", (int)(end - path), path, end > path ? "/" : "./",
			     name) < 0) {
			file = NULL;
			return -ENOMEM;
		}
		execve(file, argv, environ);
		if (errno == EACCES)
			err = -EACCES; /* a later one may do */
		else if (errno != ENOENT && errno != ENOTDIR)
			return -errno;
	}
	return err;
}

__attribute__((noreturn)) static void run_command(const struct sandbox_init *init)
{
	int err;

	sigprocmask(SIG_SETMASK, &init->signals, NULL);
	err = exec_in_path(init->argv[0], init->argv);
	if (write(init->exec_fd, &err, sizeof(err)) != sizeof(err))
		_exit(SANDBOX_OWN_FAILURE);
	_exit(err == -ENOENT || err == -ENOTDIR ? 127 : 126);
}

static int exit_code_of(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Everybody's orphans end up here. Ends, and with it the container, when @command has. */
static void reap(pid_t command)
{
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == command)
			_exit(exit_code_of(status));
	}
}

__attribute__((noreturn)) static void serve(pid_t command)
{
	sigset_t all;
	siginfo_t info;

	sigfillset(&all);
	for (;;) {
		if (sigwaitinfo(&all, &info) < 0)
			continue;
		/* A terminal's signal (Ctrl-C) has reached the whole process group already. */
		if (info.si_signo == SIGCHLD)
			reap(command);
		else if (info.si_code != SI_KERNEL)
			kill(command, info.si_signo);
	}
}

static void send_report(const struct sandbox_init *init, int err, const struct strbuf *error)
{
	struct sandbox_report report = {.err = err};

	snprintf(report.error, sizeof(report.error), "%s", strbuf_str(error));
	if (write(init->control_fd, &report, sizeof(report)) != sizeof(report))
		_exit(SANDBOX_OWN_FAILURE);
}

/* Keep 0, 1, 2 and our two pipes; the watcher's descriptors are not the container's. */
static int take_descriptors(struct sandbox_init *init)
{
	int control, exec_pipe, low = 3;

	if (init->stdout_fd >= 0 && dup2(init->stdout_fd, STDOUT_FILENO) < 0)
		return -errno;
	/* First away from where they shall be, as one may stand in the other's place. */
	control = fcntl(init->control_fd, F_DUPFD_CLOEXEC, low + 2);
	exec_pipe = fcntl(init->exec_fd, F_DUPFD_CLOEXEC, low + 2);
	if (control < 0 || exec_pipe < 0 || dup3(control, low, O_CLOEXEC) < 0 ||
	    dup3(exec_pipe, low + 1, O_CLOEXEC) < 0)
		return -errno;
	init->control_fd = low;
	init->exec_fd = low + 1;
	return syscall(SYS_close_range, low + 2, ~0U, 0) < 0 ? -errno : 0;
}

static int set_up(struct sandbox_init *init, struct strbuf *error)
{
	mode_t mask = umask(022);
	int err;

	err = take_descriptors(init);
	if (!err)
		err = sandbox_root_enter(&init->root, error);
	umask(mask);
	if (!err && chdir(init->cwd) < 0 && chdir("/") < 0)
		err = -errno;
	if (!err)
		err = drop_capabilities();
	if (!err && setenv("container", "driftwatch", 1) < 0)
		err = -errno;
	if (err && !error->len)
		strbuf_addf(error, "cannot set up the container: %s", strerror(-err));
	return err;
}

void sandbox_init_run(const struct sandbox_init *given)
{
	auto_strbuf struct strbuf error = STRBUF_INIT;
	struct sandbox_init init = *given;
	sigset_t all;
	pid_t command;
	char go;
	int err;

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	prctl(PR_SET_NAME, "driftwatch-init", 0, 0, 0);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);

	err = set_up(&init, &error);
	send_report(&init, err, &error);
	/* End of file: whoever made us has died or thought better of it. */
	if (err || read(init.control_fd, &go, 1) != 1)
		_exit(SANDBOX_OWN_FAILURE);
	close(init.control_fd);

	signal(SIGCHLD, SIG_DFL); /* ignored by whoever started us, it would leave no status */
	command = fork();
	if (command < 0)
		_exit(SANDBOX_OWN_FAILURE);
	if (command == 0)
		run_command(&init);
	close(init.exec_fd);
	serve(command);
}
