# driftwatch. `make help` lists the targets; V=1 shows the commands.

ifneq ($(CROSS_COMPILE),)
CC := $(CROSS_COMPILE)gcc
AR := $(CROSS_COMPILE)ar
endif
CC	?= cc
CLANG	?= clang
PREFIX	?= /usr/local
BUILD	?= build
CFLAGS	?= -O2 -g
WERROR	?= 1

# /usr/sbin is where Debian puts bpftool, and not in a user's PATH.
BPFTOOL ?= $(firstword $(wildcard $(addsuffix /bpftool,$(subst :, ,$(PATH)) /usr/sbin /sbin)) bpftool)

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wvla -Wwrite-strings -Wformat=2
PACKAGES := libbpf jansson zlib libelf libmicrohttpd
ARCH	 := $(shell uname -m | sed 's/x86_64/x86/;s/aarch64/arm64/')
MULTI	 := $(shell $(CC) -print-multiarch)
# Another architecture's libraries lie below SYSROOT, or beside this one's.
PKG_CONFIG := $(if $(SYSROOT)$(CROSS_COMPILE),PKG_CONFIG_LIBDIR=$(SYSROOT)/usr/lib/$(MULTI)/pkgconfig \
		PKG_CONFIG_SYSROOT_DIR=$(SYSROOT)) pkg-config
VERSION  := $(shell sed -n 's/^\#\# *\[*\([0-9][^] ]*\).*/\1/p;' CHANGELOG.md | head -n 1)
REVISION := $(shell git describe --always --dirty --exclude '*' 2>/dev/null)

# CFLAGS belongs to whoever runs make; what the code needs is kept apart.
override CPPFLAGS += -D_GNU_SOURCE -Iinclude -Iuserspace -isystem $(BUILD)
C_FLAGS		  := $(SYSROOT:%=--sysroot=%) -std=gnu17 $(WARNINGS) \
		     $(if $(filter 1,$(WERROR)),-Werror) $(CFLAGS)
BANNED		  := -include userspace/banned.h
SANITIZE	  := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
LDLIBS		  := $(shell $(PKG_CONFIG) --libs $(PACKAGES)) -lpthread
BPF_CFLAGS	  := -g -O2 -target bpf -D__TARGET_ARCH_$(ARCH) -Wall -Werror \
		     -Iinclude -Ibpf -idirafter $(SYSROOT)/usr/include/$(MULTI)

# EXCLUDE='userspace/view/%' leaves sources out of a private build.
SOURCES	    := $(filter-out $(EXCLUDE),$(wildcard userspace/*.c userspace/*/*.c))
USER_OBJS   := $(SOURCES:%.c=$(BUILD)/%.o)
KERNEL_OBJS := $(filter $(BUILD)/userspace/kernel/%,$(USER_OBJS))
CORE_OBJS   := $(filter-out %/main.o,$(USER_OBJS))
ASAN_OBJS   := $(CORE_OBJS:$(BUILD)/%=$(BUILD)/asan/%)

# The main BPF object is linked from all of these; each opt_ file stays apart,
# because a kernel that refuses it must not lose the others.
BPF_SOURCES := $(filter-out $(EXCLUDE) bpf/opt_%,$(wildcard bpf/*.bpf.c))
OPT_SOURCES := $(filter-out $(EXCLUDE),$(wildcard bpf/opt_*.bpf.c))
BPF_OBJS    := $(BPF_SOURCES:bpf/%.bpf.c=$(BUILD)/bpf/%.o)
OPT_OBJS    := $(OPT_SOURCES:bpf/%.bpf.c=$(BUILD)/bpf/%.o)
SKELETONS   := $(if $(BPF_OBJS),$(BUILD)/driftwatch.skel.h) \
	       $(OPT_SOURCES:bpf/%.bpf.c=$(BUILD)/%.skel.h)

UNIT_TESTS := $(patsubst %.c,$(BUILD)/%,$(filter-out $(EXCLUDE),$(wildcard tests/unit/test_*.c)))
BPF_TESTS  := $(patsubst %.c,$(BUILD)/%,$(filter-out $(EXCLUDE),$(wildcard tests/bpf/test_*.c)))
TEST_HELP  := $(patsubst %.c,$(BUILD)/%.o,$(filter-out tests/bpf/test_%,$(wildcard tests/bpf/*.c)))

OUR_C	   := $(wildcard include/*.h bpf/*.[ch] userspace/*.[ch] userspace/*/*.[ch] tests/*/*.[ch] \
		tests/*/*/*.[ch])
OUR_SHELL  := $(shell grep -lsE '^\#! ?/(usr/)?bin/(env )?(ba|da)?sh' scripts/* scripts/*/* \
		tests/*/* .ci/* .githooks/* 2>/dev/null; ls scripts/*.sh tests/*/*.sh 2>/dev/null)

Q   := $(if $(filter 1,$(V)),,@)
say  = @printf '  %-8s %s\n' $(1) $(patsubst $(BUILD)/%,%,$@)

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all tests soak check test-bpf bench bench-scale bench-programs lint lint-format \
	lint-scripts lint-tree tidy format install clean \
	help FORCE

all: $(BUILD)/driftwatch	## build the program (the default)

tests: $(UNIT_TESTS) $(BPF_TESTS) ## build the unit tests and the BPF tests, run none

$(BUILD)/driftwatch: $(USER_OBJS)
	$(call say,LINK)
	$(Q)$(CC) $(C_FLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@

# --- kernel side

$(BUILD)/bpf/%.o: bpf/%.bpf.c
	$(call say,BPF)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/driftwatch.bpf.o: $(BPF_OBJS)
	$(call say,BPFLINK)
	$(Q)$(BPFTOOL) gen object $@ $^

$(BUILD)/driftwatch.skel.h: $(BUILD)/driftwatch.bpf.o
	$(call say,SKEL)
	$(Q)$(BPFTOOL) gen skeleton $< name driftwatch_bpf > $@

$(BUILD)/opt_%.skel.h: $(BUILD)/bpf/opt_%.o
	$(call say,SKEL)
	$(Q)$(BPFTOOL) gen skeleton $< name opt_$*_bpf > $@

# --- user side

# -MMD leaves out headers of -isystem, so who includes a generated one is said here.
$(KERNEL_OBJS) $(KERNEL_OBJS:$(BUILD)/%=$(BUILD)/asan/%): $(SKELETONS)
$(BPF_TESTS) $(TEST_HELP): $(SKELETONS)
$(BUILD)/userspace/base/version.o $(BUILD)/asan/userspace/base/version.o: $(BUILD)/build_version.h

$(BUILD)/build_version.h: FORCE
	$(Q)mkdir -p $(@D)
	$(Q)printf '#define DRIFTWATCH_VERSION "%s"\n#define DRIFTWATCH_REVISION "%s"\n' \
		'$(VERSION)' '$(REVISION)' > $@.new
	$(Q)if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

$(BUILD)/userspace/%.o: userspace/%.c
	$(call say,CC)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(BANNED) $(C_FLAGS) -MMD -MP -c $< -o $@

$(BUILD)/asan/userspace/%.o: userspace/%.c
	$(call say,CC)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(BANNED) $(C_FLAGS) $(SANITIZE) -MMD -MP -c $< -o $@

# --- tests: archives, so that a test links what it uses and starts quickly

$(BUILD)/core.a: $(CORE_OBJS)
	$(call say,AR)
	$(Q)rm -f $@ && $(AR) rcsT $@ $^

$(BUILD)/asan/core.a: $(ASAN_OBJS)
	$(call say,AR)
	$(Q)rm -f $@ && $(AR) rcsT $@ $^

$(BUILD)/tests/unit/%: tests/unit/%.c $(BUILD)/asan/core.a
	$(call say,TEST)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -Itests/unit -DTEST_DATA='"$(CURDIR)/tests"' $(C_FLAGS) $(SANITIZE) \
		-MMD -MP -MF $@.d $(filter %.c %.a,$^) $(LDFLAGS) $(LDLIBS) -lcmocka -o $@

$(BUILD)/tests/bpf/%.o: tests/bpf/%.c
	$(call say,CC)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -Itests/bpf $(C_FLAGS) -MMD -MP -c $< -o $@

$(BUILD)/tests/bpf/%: tests/bpf/%.c $(TEST_HELP) $(BUILD)/core.a
	$(call say,TEST)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -Itests/bpf $(C_FLAGS) -MMD -MP -MF $@.d $(filter %.c %.o %.a,$^) \
		$(LDFLAGS) $(LDLIBS) -lcmocka -o $@

# --- benchmark: the work that is timed, and programs to compare ours with

BENCH_PROGRAMS := $(BUILD)/bench/work $(BUILD)/bench/monitor $(BUILD)/bench/storm \
		  $(BUILD)/bench/fill $(BUILD)/bench/scale_write $(BUILD)/bench/entry

$(BUILD)/bench/floor.bpf.o: tests/bench/floor.bpf.c
	$(call say,BPF)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/bench/floor.skel.h: $(BUILD)/bench/floor.bpf.o
	$(call say,SKEL)
	$(Q)$(BPFTOOL) gen skeleton $< name floor_bpf > $@

$(BUILD)/bench/monitor: $(BUILD)/bench/floor.skel.h $(SKELETONS)

$(BUILD)/bench/%: tests/bench/%.c $(BUILD)/core.a
	$(call say,BENCH)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -I$(BUILD)/bench $(C_FLAGS) -MMD -MP -MF $@.d $(filter %.c %.a,$^) \
		$(LDFLAGS) $(LDLIBS) -o $@

bench-programs: $(BENCH_PROGRAMS) ## build what the benchmark runs

bench: all			## what watching costs, beside others' cost (root; scripts/bench --help)
	$(Q)scripts/bench

MINUTES ?= 10
soak: all			## random operations with kills of all that can die (root; MINUTES=10)
	$(Q)DRIFTWATCH=$(CURDIR)/$(BUILD)/driftwatch tests/e2e/soak.py --minutes $(MINUTES)

bench-scale: all		## how it grows with containers, files, writers (--quick: short)
	$(Q)scripts/bench-scale

check: all $(UNIT_TESTS)	## build everything, run the unit tests (ASan, UBSan)
	$(Q)scripts/run-programs $(UNIT_TESTS)

test-bpf: all $(BPF_TESTS)	## run the tests that load BPF programs (root)
	$(Q)scripts/run-programs $(BPF_TESTS)

# --- house rules

lint: tidy lint-format lint-scripts lint-tree ## formatting, clang-tidy, shellcheck, tiers, sizes

lint-format:
	$(Q)clang-format --dry-run -Werror $(OUR_C)

lint-scripts:
	$(Q)$(if $(strip $(OUR_SHELL)),shellcheck $(sort $(OUR_SHELL)))

lint-tree:
	$(Q)scripts/check-tiers
	$(Q)scripts/check-sizes

TIDY_STAMPS := $(SOURCES:%.c=$(BUILD)/tidy/%.ok)

tidy: $(TIDY_STAMPS)		## clang-tidy alone; only what changed since it was clean

$(KERNEL_OBJS:$(BUILD)/%.o=$(BUILD)/tidy/%.ok): $(SKELETONS)
$(BUILD)/tidy/userspace/base/version.ok: $(BUILD)/build_version.h

# uthash's hash functions read what the analyzer cannot follow; it gets a plain one.
TIDY_FLAGS := '-DHASH_FUNCTION(key,length,hash)=((hash)=(unsigned)(length)+*(const char*)(key))'

# The object brings the header dependencies: what is rebuilt is checked again.
$(BUILD)/tidy/%.ok: %.c $(BUILD)/%.o .clang-tidy
	$(call say,TIDY)
	$(Q)mkdir -p $(@D)
	$(Q)clang-tidy --quiet $< -- $(TIDY_FLAGS) $(CPPFLAGS) $(BANNED) -std=gnu17 $(WARNINGS) 2>$@.log || \
		{ cat $@.log; exit 1; }
	$(Q)touch $@

format:				## rewrite our C files in the house format
	clang-format -i $(OUR_C)

install: all			## install below $(DESTDIR)$(PREFIX)
	install -D -m 755 $(BUILD)/driftwatch $(DESTDIR)$(PREFIX)/bin/driftwatch
	$(foreach n,5 8,$(foreach f,$(wildcard scripts/man/*.$(n)),\
		install -D -m 644 $(f) $(DESTDIR)$(PREFIX)/share/man/man$(n)/$(notdir $(f)) &&)) true
	$(if $(wildcard scripts/completion/driftwatch.bash),install -D -m 644 \
		scripts/completion/driftwatch.bash \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/driftwatch)
	$(if $(wildcard scripts/completion/_driftwatch),install -D -m 644 \
		scripts/completion/_driftwatch \
		$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_driftwatch)
	$(if $(wildcard scripts/completion/driftwatch.fish),install -D -m 644 \
		scripts/completion/driftwatch.fish \
		$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/driftwatch.fish)
	$(if $(wildcard scripts/deploy/systemd/driftwatch.service),install -D -m 644 \
		scripts/deploy/systemd/driftwatch.service \
		$(DESTDIR)$(PREFIX)/lib/systemd/system/driftwatch.service)

clean:				## remove what make made
	rm -rf $(BUILD)

help:				## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 14

-include $(USER_OBJS:.o=.d) $(ASAN_OBJS:.o=.d) $(BPF_OBJS:.o=.d) $(OPT_OBJS:.o=.d) \
	 $(addsuffix .d,$(UNIT_TESTS) $(BPF_TESTS) $(BENCH_PROGRAMS)) $(TEST_HELP:.o=.d)
