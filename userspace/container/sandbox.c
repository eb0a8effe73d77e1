/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * sandbox.c - a sandbox from the outside: made, started, awaited, removed.
 */
#include "container/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "container/sandbox_area.h"
#include "container/sandbox_cgroup.h"
#include "container/sandbox_describe.h"
#include "container/sandbox_init.h"
#include "container/sandbox_plan.h"
#include "container/sandbox_state.h"

#define MOUNTINFO_MAX (16u << 20)

struct sandbox {
	char id[65];
	char *lower;
	uint32_t lower_dev;
	char *cwd;
	struct sandbox_area area;
	struct sandbox_plan plan;
	struct sandbox_cgroup cgroup;
	struct strbuf cgroup_problem;
	struct container *container; /* NULL until it is set up */
	pid_t pid;		     /* of init; 0: none, or reaped */
	int pid_fd, control_fd, exec_fd;
	uint64_t created_wall_ns;
	bool has_state; /* the state file was written */
};

static int resolve_lower(const struct sandbox_options *options, struct strbuf *error,
			 struct sandbox *s)
{
	const char *lower = options->lower ? options->lower : "/";
	struct stat st;
	int err = 0;

	s->lower = realpath(lower, NULL);
	if (!s->lower || stat(s->lower, &st) < 0)
		err = -errno;
	else if (!S_ISDIR(st.st_mode))
		err = -ENOTDIR;
	else
		s->lower_dev = file_kernel_dev(st.st_dev);
	if (err)
		strbuf_addf(error, "cannot use %s as root of the container: %s", lower,
			    strerror(-err));
	return err;
}

static int check_volumes(const struct sandbox_options *options, struct strbuf *error)
{
	int err;

	for (size_t i = 0; i < options->volumes_len; i++) {
		if (access(options->volumes[i].source, F_OK) == 0)
			continue;
		err = -errno;
		strbuf_addf(error, "volume %s: %s", options->volumes[i].source, strerror(-err));
		return err;
	}
	return 0;
}

static int make_plan(const struct sandbox_options *options, struct sandbox *s)
{
	auto_strbuf struct strbuf mountinfo = STRBUF_INIT;
	struct sandbox_plan_input input = {
		.lower = s->lower,
		.lower_dev = s->lower_dev,
		.area = s->area.path,
		.options = options,
	};
	int err = file_read(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, &mountinfo);

	if (err)
		return err;
	input.mountinfo = mountinfo.data;
	return sandbox_plan_make(&input, &s->plan);
}

/* Like fork(), into namespaces and the cgroup of its own. 0 in the child. */
static pid_t clone_init(struct sandbox *s)
{
	struct clone_args args = {
		.flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_PIDFD,
		.pidfd = (__u64)(uintptr_t)&s->pid_fd,
		.exit_signal = SIGCHLD,
	};

	if (s->cgroup.fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (__u64)s->cgroup.fd;
	}
	fflush(NULL); /* what is buffered is ours to print, once */
	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

static int read_report(struct sandbox *s, struct strbuf *error)
{
	struct sandbox_report report;
	ssize_t n;

	do
		n = read(s->control_fd, &report, sizeof(report));
	while (n < 0 && errno == EINTR);
	if (n != sizeof(report)) {
		strbuf_adds(error, "the container's first process died while it set things up");
		return -EIO;
	}
	report.error[sizeof(report.error) - 1] = '\0';
	strbuf_adds(error, report.error);
	return report.err;
}

static int start_init(const struct sandbox_options *options, struct strbuf *error,
		      struct sandbox *s)
{
	struct sandbox_init init = {
		.root = {.lower = s->lower, .area = &s->area, .plan = &s->plan},
		.argv = options->argv,
		.cwd = s->cwd,
		.stdout_fd = options->stdout_fd,
	};
	int control[2], exec_pipe[2], err;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) < 0)
		return -errno;
	s->control_fd = control[0];
	init.control_fd = control[1];
	if (pipe2(exec_pipe, O_CLOEXEC) < 0) {
		err = -errno;
		close(control[1]);
		return err;
	}
	s->exec_fd = exec_pipe[0];
	init.exec_fd = exec_pipe[1];
	if (options->signals)
		init.signals = *options->signals;
	else
		sigprocmask(SIG_SETMASK, NULL, &init.signals);

	s->pid = clone_init(s);
	if (s->pid == 0)
		sandbox_init_run(&init);
	err = s->pid < 0 ? -errno : 0;
	close(control[1]);
	close(exec_pipe[1]);
	if (err) {
		s->pid = 0;
		s->pid_fd = -1;
		strbuf_addf(error, "cannot make the container's namespaces: %s%s", strerror(-err),
			    err == -EPERM ? " (it takes root)" : "");
		return err;
	}
	return read_report(s, error);
}

static int describe(const struct sandbox_options *options, struct sandbox *s)
{
	const struct sandbox_facts facts = {
		.id = s->id,
		.lower = s->lower,
		.area = &s->area,
		.plan = &s->plan,
		.argv = options->argv,
		.pid = s->pid,
		.cgroup_path = s->cgroup.path,
		.cgroup_id = s->cgroup.id,
		.created_wall_ns = s->created_wall_ns,
	};

	return sandbox_describe(&facts, &s->container);
}

static int make(const struct sandbox_options *options, struct strbuf *error, struct sandbox *s)
{
	int err = sandbox_make_id(s->id);

	if (!err)
		err = resolve_lower(options, error, s);
	if (!err)
		err = check_volumes(options, error);
	if (!err)
		err = sandbox_area_make(options->keep, s->lower, error, &s->area);
	if (!err)
		err = make_plan(options, s);
	if (err)
		return err;

	/* Without a cgroup the writers of other containers cannot be told from ours: a flaw,
	 * no obstacle. */
	sandbox_cgroup_make(s->id, &s->cgroup_problem, &s->cgroup);
	err = start_init(options, error, s);
	return err ? err : describe(options, s);
}

int sandbox_open(const struct sandbox_options *options, struct strbuf *error, struct sandbox **ret)
{
	struct sandbox *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return -ENOMEM;
	s->area = (struct sandbox_area)SANDBOX_AREA_INIT;
	s->cgroup = (struct sandbox_cgroup)SANDBOX_CGROUP_INIT;
	s->pid_fd = s->control_fd = s->exec_fd = -1;
	s->created_wall_ns = clock_wall_ns();
	s->cwd = options->lower ? strdup("/") : getcwd(NULL, 0);
	if (!s->cwd)
		s->cwd = strdup("/");
	sandbox_area_sweep();
	sandbox_cgroup_sweep();
	sandbox_state_sweep(SANDBOX_STATE_DIR);
	signal(SIGCHLD, SIG_DFL); /* ignored by whoever started us, it would leave no status */

	err = s->cwd ? make(options, error, s) : -ENOMEM;
	if (err) {
		if (!error->len)
			strbuf_addf(error, "cannot make the container: %s", strerror(-err));
		sandbox_close(s);
		return err;
	}
	*ret = s;
	return 0;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

struct sandbox *sandbox_close(struct sandbox *s)
{
	struct sandbox_result ignored;

	if (!s)
		return NULL;
	if (s->pid) {
		kill(s->pid, SIGKILL);
		sandbox_wait(s, &ignored);
	}
	close_fd(&s->control_fd);
	close_fd(&s->exec_fd);
	close_fd(&s->pid_fd);
	if (s->has_state)
		sandbox_state_remove(SANDBOX_STATE_DIR, s->id);
	sandbox_cgroup_done(&s->cgroup);
	sandbox_area_done(&s->area);
	sandbox_plan_done(&s->plan);
	strbuf_done(&s->cgroup_problem);
	container_free(s->container);
	free(s->lower);
	free(s->cwd);
	free(s);
	return NULL;
}

const struct container *sandbox_container(const struct sandbox *s)
{
	return s->container;
}

const char *sandbox_cgroup_problem(const struct sandbox *s)
{
	return s->cgroup.path ? NULL : strbuf_str(&s->cgroup_problem);
}

const char *sandbox_shared_mounts(const struct sandbox *s)
{
	return strbuf_str(&s->plan.shared);
}

int sandbox_start(struct sandbox *s)
{
	int err;

	s->container->started_wall_ns = sandbox_stamp_ns();
	err = sandbox_state_write(SANDBOX_STATE_DIR, s->container);
	if (err)
		log_warning("an agent will not know this container's name: cannot write to %s: %s",
			    SANDBOX_STATE_DIR, strerror(-err));
	s->has_state = !err;
	if (send(s->control_fd, "g", 1, MSG_NOSIGNAL) != 1)
		return -errno;
	close_fd(&s->control_fd);
	return 0;
}

int sandbox_fd(const struct sandbox *s)
{
	return s->pid_fd;
}

void sandbox_signal(struct sandbox *s, int signo)
{
	if (s->pid)
		kill(s->pid, signo);
}

/* Everybody who held the pipe's other end is dead: this does not block. */
static int read_exec_error(struct sandbox *s)
{
	int err;

	if (read(s->exec_fd, &err, sizeof(err)) != sizeof(err))
		return 0;
	return -err;
}

int sandbox_wait(struct sandbox *s, struct sandbox_result *ret)
{
	int status;
	pid_t pid;

	if (!s->pid)
		return -ECHILD;
	do
		pid = waitpid(s->pid, &status, 0);
	while (pid < 0 && errno == EINTR);
	if (pid < 0)
		return -errno;
	s->pid = 0;
	ret->exec_errno = s->exec_fd >= 0 ? read_exec_error(s) : 0;
	ret->exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	return 0;
}
