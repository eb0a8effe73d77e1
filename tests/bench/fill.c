// SPDX-License-Identifier: GPL-2.0-only
/*
 * fill.c - make many empty files: fill DIR COUNT, a thousand to a directory.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PER_DIR 1000

int main(int argc, char **argv)
{
	unsigned long count, i;
	char name[64];
	int fd;

	if (argc != 3 || chdir(argv[1])) {
		fprintf(stderr, "usage: fill DIR COUNT\n");
		return 2;
	}
	count = strtoul(argv[2], NULL, 10);
	for (i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "%lu", i / PER_DIR);
		if (i % PER_DIR == 0 && mkdir(name, 0755) && errno != EEXIST)
			break;
		snprintf(name, sizeof(name), "%lu/%lu", i / PER_DIR, i);
		fd = open(name, O_CREAT | O_WRONLY, 0644);
		if (fd < 0)
			break;
		close(fd);
	}
	if (i < count)
		fprintf(stderr, "fill: %s: %s\n", name, strerror(errno));
	return i < count;
}
